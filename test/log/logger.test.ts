import { expect, test } from 'vitest';
import { Logger, type LogRecord } from '../../src/log/logger.ts';

test('a child follows the level of its program, and knows the one at the start', () => {
  const records: LogRecord[] = [];
  const log = new Logger((record) => records.push(record), 'info');
  const child = log.child({ plugin_name: 'p' }).child({ more: 1 });
  child.debug('too much');
  log.level = 'debug';
  child.debug('wanted');
  expect([child.level, child.launchLevel, log.launchLevel]).toEqual(['debug', 'info', 'info']);
  log.level = log.launchLevel;
  child.debug('too much again');
  log.level = 'error';
  child.info('too much now');
  expect(records).toMatchObject([{ message: 'wanted', level: 'debug', fields: { plugin_name: 'p', more: 1 } }]);
});
