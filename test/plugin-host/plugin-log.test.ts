import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { formatText } from '../../src/log/format.ts';
import { Logger, type LogRecord } from '../../src/log/logger.ts';
import { PluginLog } from '../../src/plugin-host/plugin-log.ts';
import { eventually } from '../harness/eventually.ts';

function read(...chunks: readonly string[]): readonly LogRecord[] {
  const records: LogRecord[] = [];
  const host = new Logger((record) => records.push(record), 'trace').child({ plugin_name: 'p' });
  const log = new PluginLog(host);
  for (const chunk of chunks) log.write(Buffer.from(chunk));
  log.write(Buffer.from('\n'));
  return records;
}

const json = (fields: Record<string, unknown>) => JSON.stringify(fields);

const lines = [
  ['hclog levels', json({ '@level': 'warn', '@message': 'm' }), 'warning', 'm'],
  ['an unknown level', json({ '@level': 'loud', '@message': 'm' }), 'debug', 'm'],
  ['a numeric level', json({ '@level': 4, '@message': 'm' }), 'debug', 'm'],
  ['a numeric message', json({ '@level': 'info', '@message': 42 }), 'info', '42'],
  ['a message that is an object', json({ '@level': 'info', '@message': { a: 1 } }), 'info', '{"a":1}'],
  ['a null message', json({ '@level': 'info', '@message': null }), 'info', 'null'],
  ['JSON without a message', '{"a":1}', 'debug', '{"a":1}'],
  ['broken JSON', '{"@message":', 'debug', '{"@message":'],
  ['a JSON array', '[1]', 'debug', '[1]'],
  ['plain text', 'hello', 'debug', 'hello'],
  ['a level prefix', '[ERROR] it broke', 'error', '[ERROR] it broke'],
  ['a panic', 'panic: nil', 'error', 'panic: nil'],
] as const;
test.each(lines)('reads %s (§10)', (_what, line, level, message) => {
  expect(read(line)).toEqual([expect.objectContaining({ level, message })]);
});

test('fields of a record stay, but none that says whose it is', () => {
  const line = json({
    '@level': 'info',
    '@message': 'm',
    '@timestamp': 't',
    a: 1,
    b: true,
    c: { d: 2 },
    plugin_name: 'liar',
    level: 'x',
  });
  const [record] = read(line);
  expect(record?.fields).toEqual({ plugin_name: 'p', timestamp: 't', a: 1, b: true, c: '{"d":2}' });
});

test('what follows a panic belongs to it', () => {
  expect(read('panic: x\n', 'goroutine 1\n', '\tmain.go:1').map(({ level }) => level)).toEqual([
    'error',
    'error',
    'error',
  ]);
});

test('a line longer than 64 KiB is cut, over any chunks', () => {
  const records = read(...Array.from({ length: 100 }, () => 'a'.repeat(1_000)));
  expect(records.map(({ message }) => message.length)).toEqual([65_536, 34_464]);
});

test('JSON nested beyond all measure does not break it', () => {
  const depth = 20_000;
  expect(read(`{"@message":"m","a":${'['.repeat(depth)}${']'.repeat(depth)}}`)).toHaveLength(1);
});

test('the last lines are kept for the message of a failed start', () => {
  const log = new PluginLog(new Logger(() => {}));
  log.write(Buffer.from(Array.from({ length: 9 }, (_, line) => `line ${line}\n`).join('')));
  expect(log.lastLines).toEqual(['"line 4"', '"line 5"', '"line 6"', '"line 7"', '"line 8"']);
});

test('of a plugin that writes without end a part is left out, and the log says so; its last words stay', async () => {
  const records: LogRecord[] = [];
  const log = new PluginLog(new Logger((record) => records.push(record), 'trace'));
  const stderr = new PassThrough();
  log.attach(stderr);
  const count = 20_000;
  const noise = Array.from({ length: count }, (_, index) => `line ${index}\n`).join('');
  stderr.end(`${noise}panic: the end\n`);
  await once(stderr, 'end');
  expect(records.length).toBeLessThan(count / 2);
  const report = records.find(({ message }) => message.startsWith('plugin writes too much'));
  expect(report).toMatchObject({ level: 'warning', fields: { bytes: expect.any(Number) } });
  const written = records.filter((record) => record !== report).map(({ message }) => message.length + 1);
  const bytes = written.reduce((total, length) => total + length, Number(report?.fields.bytes));
  expect(bytes).toBe(noise.length + 'panic: the end\n'.length);
  expect(log.lastLines.at(-1)).toBe('"panic: the end"');
});

test('a plugin that writes faster than anybody reads waits', async () => {
  const log = new PluginLog(new Logger(() => {}));
  const stderr = new PassThrough();
  log.attach(stderr);
  const chunk = Buffer.alloc(1024 * 1024, 'x\n');
  let taken = 0;
  stderr.on('data', () => {
    taken += 1;
  });
  for (let count = 0; count < 40; count += 1) stderr.write(chunk);
  await eventually(() => expect(stderr.isPaused()).toBe(true));
  expect(taken).toBeLessThan(40);
  stderr.destroy();
});

test('a field cannot begin a line of its own by its name', () => {
  const [record] = read(json({ '@message': 'm', 'a\nlevel=error msg=forged': 'b', 'c d=e': 'f' }));
  expect(record && formatText(record).split('\n')).toHaveLength(1);
  expect(record && formatText(record)).toMatch(/ "a\\nlevel=error msg=forged"=b "c d=e"=f$/);
});
