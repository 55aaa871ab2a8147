import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const DEADLINE_MS = 20_000;
const COOKIES = [
  'BundlePublisher',
  'CredentialComposer',
  'KeyManager',
  'NodeAttestor',
  'Notifier',
  'SVIDStore',
  'UpstreamAuthority',
  'WorkloadAttestor',
];

/**
 * Lets V8 keep what it compiled of every program, by running each plugin as far as its handshake and the command line to the end of its
 * help: the next start is about a fifth shorter. Nothing depends on it, so a program that does not come that far is passed over.
 *
 * @param {string} dist where the programs are; `bin/assayer` names the same cache folder
 */
export async function fillCompileCache(dist) {
  const sockets = mkdtempSync(join(tmpdir(), 'assayer-build-'));
  const env = {
    ...process.env,
    ...Object.fromEntries(COOKIES.map((name) => [name, name])),
    NODE_COMPILE_CACHE: join(dist, 'compile-cache'),
    NODE_COMPILE_CACHE_PORTABLE: '1',
    PLUGIN_PROTOCOL_VERSIONS: '1',
    PLUGIN_UNIX_SOCKET_DIR: sockets,
    TMPDIR: sockets,
  };
  try {
    const folder = join(dist, 'plugins');
    const plugins = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.js')) : [];
    const runs = plugins.map((name) => runToFirstLine([join(folder, name)], env));
    if (existsSync(join(dist, 'assayer.js'))) runs.push(runToEnd([join(dist, 'assayer.js'), '--help'], env));
    await Promise.all(runs);
  } finally {
    rmSync(sockets, { recursive: true, force: true });
  }
}

async function runToFirstLine(args, env) {
  await run(args, env, (child) => {
    child.stdout.once('data', () => child.kill('SIGTERM')); // V8 writes its cache at an orderly exit
  });
}

async function runToEnd(args, env) {
  await run(args, env, (child) => child.stdout.resume());
}

async function run(args, env, watch) {
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'ignore'] });
  const exited = once(child, 'exit');
  const insist = setTimeout(() => child.kill('SIGKILL'), DEADLINE_MS);
  watch(child);
  await exited;
  clearTimeout(insist);
}
