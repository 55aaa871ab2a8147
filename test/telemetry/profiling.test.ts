import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ProfilingConfig } from '../../src/config/profiling-config.ts';
import { Logger, type LogRecord } from '../../src/log/logger.ts';
import { openProfiling } from '../../src/telemetry/open-profiling.ts';
import { Profiler } from '../../src/telemetry/profiler.ts';
import { freePort } from '../harness/free-port.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

const records: LogRecord[] = [];
const log = new Logger((record) => records.push(record));
const OFF: ProfilingConfig = { enabled: false, port: 0, dumpEverySeconds: 0, names: [] };

/** Something with a name for the profile. */
function burnProcessorTime(): void {
  const until = performance.now() + 20;
  while (performance.now() < until) createHash('sha256').update('burnt').digest();
}

test('nothing is opened where it is off (C021)', async () => {
  await using folder = await createTemporaryFolder();
  expect(await openProfiling({ config: { ...OFF, port: 1 }, dataDir: folder.path, log })).toBeUndefined();
});

test('profiles of processor time and memory come from a port of this host (C025)', async () => {
  await using folder = await createTemporaryFolder();
  const port = await freePort();
  await using _profiling = await openProfiling({ config: { ...OFF, enabled: true, port }, dataDir: folder.path, log });
  const page = (path: string) => fetch(`http://127.0.0.1:${port}${path}`);
  const taking = page('/debug/profile/cpu?seconds=1');
  const busy = setInterval(burnProcessorTime, 1);
  const cpu = JSON.parse(await (await taking).text());
  clearInterval(busy);
  const functions = cpu.nodes.map((node: { callFrame: { functionName: string } }) => node.callFrame.functionName);
  expect(functions).toEqual(expect.arrayContaining(['burnProcessorTime']));
  const heap = await (await page('/debug/profile/heap?seconds=0.2')).json();
  expect(heap).toHaveProperty('head.selfSize');
  for (const seconds of ['0', '-1', '301', 'x']) {
    expect((await page(`/debug/profile/cpu?seconds=${seconds}`)).status).toBe(400);
  }
  expect((await page('/debug/pprof')).status).toBe(404);
});

test('one is taken at a time', async () => {
  using profiler = new Profiler();
  const first = profiler.take('cpu', 0.5);
  await expect(profiler.take('heap', 0.1)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
  await first;
  expect(JSON.parse(await profiler.take('heap', 0.1))).toHaveProperty('head');
});

test('profiles go to files, of which the last are kept (C023, C024)', async () => {
  await using folder = await createTemporaryFolder();
  records.length = 0;
  const config = { ...OFF, enabled: true, dumpEverySeconds: 0.05, names: ['cpu', 'heap', 'goroutine'] };
  const files = async () => (await readdir(join(folder.path, 'profiles')).catch(() => [])).sort();
  {
    await using _profiling = await openProfiling({ config, dataDir: folder.path, log });
    await expect.poll(files).toContainEqual(expect.stringMatching(/^heap-/));
    const [oldest] = await files();
    await expect.poll(files, { timeout: 60_000 }).not.toContain(oldest); // more than ten were taken since
  }
  const left = await files();
  expect(left.filter((name) => name.startsWith('cpu-')).length).toBeLessThanOrEqual(10);
  const [name = ''] = left;
  expect(name).toMatch(/^cpu-\d{4}-\d\d-\d\dT[\d-]+\.\d+Z\.cpuprofile$/);
  const path = join(folder.path, 'profiles', name);
  expect(JSON.parse(await readFile(path, 'utf8'))).toHaveProperty('nodes');
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  const warnings = records.filter(({ level }) => level === 'warning');
  expect(warnings.map(({ fields }) => fields)).toEqual([{ name: 'goroutine', known: 'cpu, heap' }]);
});
