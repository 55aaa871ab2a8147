import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { buildPlugin } from '../../src/authoring/build-plugin/index.ts';
import { newPlugin } from '../../src/authoring/new-plugin/index.ts';
import { handshakeEnvironment, PLUGIN_ENVIRONMENT, PLUGIN_TYPES } from '../../src/rpc/go-plugin.ts';
import { parseHandshake } from '../../src/rpc/handshake.ts';
import { createTemporaryFolder } from '../../test/harness/temporary-folder.ts';
import { compileCache } from '../process/program.ts';
import type { TimesResult } from '../results.ts';

/** From the start of a plugin's process to its handshake, one plugin at a time, with and without V8's compile cache. */
export async function measureHandshakes(dist: string, runs: number): Promise<readonly TimesResult[]> {
  await using folder = await createTemporaryFolder();
  const plugins = readdirSync(join(dist, 'plugins')).filter((name) => name.endsWith('.js'));
  const results: TimesResult[] = [];
  for (const plugin of plugins) {
    for (const [label, cache] of Object.entries({ cached: compileCache(dist), 'not cached': NO_COMPILE_CACHE })) {
      const env = { ...process.env, ...ALL_COOKIES, [PLUGIN_ENVIRONMENT.socketFolder]: folder.path, ...cache };
      const timesMs: number[] = [];
      await handshakeMs(join(dist, 'plugins', plugin), env); // the first reads files that the next find in memory
      for (let run = 0; run < runs; run += 1) timesMs.push(await handshakeMs(join(dist, 'plugins', plugin), env));
      results.push({ name: `${basename(plugin, '.js')}, ${label}`, timesMs });
    }
  }
  const { NODE_COMPILE_CACHE: _, ...env } = { ...process.env, ...ALL_COOKIES, ...NO_COMPILE_CACHE };
  const path = await buildNewPlugin(folder.path);
  const timesMs: number[] = [];
  for (let run = -1; run < runs; run += 1) {
    const elapsedMs = await handshakeMs(path, { ...env, [PLUGIN_ENVIRONMENT.socketFolder]: folder.path });
    if (run >= 0) timesMs.push(elapsedMs);
  }
  return [...results, { name: 'of `plugin build`, one file', timesMs }];
}

/** @returns the executable of an attestor as its author first has it */
async function buildNewPlugin(parent: string): Promise<string> {
  const project = await newPlugin({ kind: 'workload-attestor', language: 'ts', name: 'sample', parent });
  return (await buildPlugin({ entry: join(project, 'src', 'main.ts'), node: process.execPath })).path;
}

const NO_COMPILE_CACHE = { NODE_DISABLE_COMPILE_CACHE: '1' };
/** A plugin looks for that of its own type. */
const ALL_COOKIES = Object.assign({}, ...PLUGIN_TYPES.map(handshakeEnvironment));

async function handshakeMs(path: string, env: NodeJS.ProcessEnv): Promise<number> {
  const started = performance.now();
  const child = spawn(process.execPath, [path], { env, stdio: ['ignore', 'pipe', 'ignore'] });
  const exited = once(child, 'exit');
  const [output] = await Promise.race([once(child.stdout, 'data'), exited]);
  const elapsedMs = performance.now() - started;
  child.kill('SIGTERM');
  await exited;
  parseHandshake(String(output));
  return elapsedMs;
}
