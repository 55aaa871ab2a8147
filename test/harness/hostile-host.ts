import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { SandboxConfig } from '../../src/config/sandbox-config.ts';
import { JOIN_TOKEN, pluginConfig, TestHost } from '../plugin-host/go-plugins.ts';
import { builtinPlugins } from './built-programs.ts';

// A host with a key manager that has something to lose and with hostile plugins. Each line of its input is an attempt; each
// line of its output says what became of it.

const [folder = ''] = process.argv.slice(2);
const root = join(import.meta.dirname, '..', '..');
const host = new TestHost();

const adminSocket = join(folder, `admin-${process.pid}.sock`);
const admin = createServer((socket) => socket.end());
await new Promise<void>((resolve) => admin.listen(adminSocket, resolve));
const abstract = createServer((socket) => socket.end());
await new Promise<void>((resolve) => abstract.listen(`\0assayer-hostile-${process.pid}`, resolve));
const outside = createServer((socket) => socket.end());
const port = await new Promise<number>((resolve) => {
  outside.listen(0, '127.0.0.1', () => {
    const address = outside.address();
    resolve(typeof address === 'object' && address !== null ? address.port : 0);
  });
});

const sandbox: SandboxConfig = {
  enabled: true,
  required: false,
  user: process.getuid?.() === 0 ? 'own' : 'host',
  readable: ['src', 'node_modules', 'package.json', 'test'].map((name) => join(root, name)),
  network: 'none',
  processes: 64,
  memoryBytes: 1024 ** 3,
  env: [],
};
process.env.SECRET_OF_THE_HOST = 'secret';

const keyManager = pluginConfig({
  type: 'KeyManager',
  name: 'disk',
  data: { text: `directory = "${folder}/keys"` },
});
const victim = async () => {
  const catalog = await host.load('agent', [keyManager, JOIN_TOKEN, hostile('user', '')], {
    builtins: builtinPlugins('agent'),
    dataDir: join(folder, 'data'),
  });
  const { endpoint } = await catalog.keyManager.generateKey('k', 'ec-p256');
  return { catalog, endpoint };
};

function hostile(attempt: string, target: string, changes: Partial<SandboxConfig> = {}) {
  return pluginConfig({
    type: 'WorkloadAttestor',
    name: 'hostile',
    command: process.execPath,
    args: [join(root, 'test', 'harness', 'hostile-plugin.ts')],
    data: { text: `attempt = ${JSON.stringify(attempt)}\ntarget = ${JSON.stringify(target)}` },
    sandbox: { ...sandbox, ...changes },
  });
}

const { catalog, endpoint } = await victim();
const targets: Readonly<Record<string, string>> = {
  read: join(folder, 'keys', 'assayer-keys.json'),
  write: join(folder, 'keys', 'other.json'),
  connect: adminSocket,
  'connect-plugin': endpoint.socketPath,
  'connect-abstract': `assayer-hostile-${process.pid}`,
  dial: `${port}`,
  memory: `${process.pid}`,
  signal: `${process.pid}`,
  trace: `${process.pid}`,
};

/** How the attempts of one line are confined: `free` not at all, `required` or not at all, else as well as can be. */
const CHANGES: Readonly<Record<string, Partial<SandboxConfig>>> = {
  free: { enabled: false },
  required: { required: true, user: 'own' },
  light: { cpuWeight: 50 },
  counted: { user: 'host', readable: undefined, network: 'all' },
};

async function attempt(line: string): Promise<string> {
  const [name = '', how = ''] = line.split(' ');
  const { signal } = new AbortController();
  const plugins = [pluginConfig({ type: 'KeyManager', name: 'memory' }), JOIN_TOKEN];
  const what = name === 'connect-plugin' ? 'connect' : name;
  await using own = await host.load('agent', [...plugins, hostile(what, targets[name] ?? '', CHANGES[how])], {
    builtins: builtinPlugins('agent'),
    deadlines: { healthIntervalMs: 500, healthMs: 5_000 },
  });
  const [attestor] = own.workloadAttestors;
  if (attestor === undefined) return 'not loaded';
  const answer = await attestor.attest(1, signal).catch((error: Error) => [{ value: `failed:${error.message}` }]);
  await catalog.keyManager.generateKey('again', 'ec-p256'); // the others serve on
  if (how === 'counted' && host.records.some(({ fields }) => fields.measure === 'control-group')) return 'not possible';
  return answer.map(({ value }) => value).join();
}

process.stdout.write(
  `${JSON.stringify({ pids: catalog.plugins.flatMap(({ pid }) => pid ?? []), socket: endpoint.socketPath })}\n`,
);
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${await attempt(line).catch((error: Error) => error.message)}\n`);
}
await catalog[Symbol.asyncDispose]();
process.exit(0);
