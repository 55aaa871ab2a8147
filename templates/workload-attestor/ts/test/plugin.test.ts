import assert from 'node:assert/strict';
import { test } from 'node:test';
import { selectorsOf } from '../src/plugin.ts';

test('a process that runs a known program has its selector', async () => {
  const programs = new Map([
    ['/usr/bin/other', 'other'],
    [process.execPath, 'node'],
  ]);
  assert.deepEqual(await selectorsOf(process.pid, programs), ['program:node']);
});

test('a process that runs another program has none', async () => {
  assert.deepEqual(await selectorsOf(process.pid, new Map([['/usr/bin/other', 'other']])), []);
});

test('a process that is gone is refused', async () => {
  await assert.rejects(selectorsOf(2 ** 22 + 1, new Map()), { code: 'WORKLOAD_UNREADABLE' });
});
