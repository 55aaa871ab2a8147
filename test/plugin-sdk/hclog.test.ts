import { expect, test } from 'vitest';
import type { LogLevel } from '../../src/log/logger.ts';
import { formatHclog } from '../../src/plugin-sdk/hclog.ts';

const time = new Date('2026-01-02T03:04:05.678Z');
const format = (level: LogLevel, message: string, fields = {}) =>
  JSON.parse(formatHclog({ time, level, message, fields }));

test('the time has exactly six fraction digits (plugin-wire §10)', () => {
  expect(format('info', 'm')['@timestamp']).toBe('2026-01-02T03:04:05.678000Z');
});

test.each([
  ['fatal', 'error'],
  ['error', 'error'],
  ['warning', 'warn'],
  ['info', 'info'],
  ['debug', 'debug'],
  ['trace', 'trace'],
] as const)('the level %s is written as %s', (level, written) => {
  expect(format(level, 'm')['@level']).toBe(written);
});

test('no field takes the place of a key of hclog, whose values have to be strings', () => {
  expect(format('info', 'm', { '@message': 7, '@level': true, count: 7n })).toEqual({
    '@level': 'info',
    '@message': 'm',
    '@timestamp': '2026-01-02T03:04:05.678000Z',
    message: 7,
    level: true,
    count: '7',
  });
});

test('a line is one line, whatever the message holds', () => {
  expect(formatHclog({ time, level: 'info', message: 'a\nb\u2028c', fields: { x: '\r\n' } })).not.toMatch(/[\r\n]/);
});
