import { execFile, spawn } from 'node:child_process';
import { open, readFile, symlink, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { getPriority } from 'node:os';
import { promisify } from 'node:util';
import { z } from 'zod';
import { defineWorkloadAttestor, servePlugin } from '../../src/plugin-sdk/index.ts';

// A workload attestor that tries what it must not be able to do, one attempt a call, and says what became of it.

const config = z.strictObject({
  attempt: z.string(),
  /** What it is tried on: a path, a port, a process ID. */
  target: z.string().default(''),
});
type Attempt = z.output<typeof config>;

/** More than any limit of the tests. */
const MANY = 400;
const LOG_LINES = 20_000;

const attempts: Readonly<Record<string, (target: string) => Promise<unknown>>> = {
  read: (path) => readFile(path),
  write: (path) => writeFile(path, 'x'),
  connect: (path) => dial({ path }),
  'connect-abstract': (name) => dial({ path: `\0${name}` }),
  dial: (port) => dial({ host: '127.0.0.1', port: Number(port) }),
  memory: (pid) => open(`/proc/${pid}/mem`, 'r').then((file) => file.close()),
  signal: async (pid) => process.kill(Number(pid), 0),
  /** PTRACE_ATTACH */
  trace: (pid) => systemCall(`ptrace=101`, 16, Number(pid), 0, 0),
  /** CLONE_NEWUSER */
  unshare: () => systemCall('unshare=272', 0x10000000),
  /** ADD_KEY of a keyring that is nobody's namespace */
  keyring: () => systemCall('keyctl=250', 0, 0, 0),
  'replace-host-socket': () => symlink('/etc/passwd', `${process.env.PLUGIN_UNIX_SOCKET_DIR}/../host`),
  environment: async () => process.env.SECRET_OF_THE_HOST ?? fail('ENOENT'),
  priority: async () => `${getPriority()}`,
  user: async () => `${process.getuid?.()}`,
  fork: forkWithoutEnd,
  'fill-memory': fillMemory,
  'fill-log': fillLog,
};

await servePlugin(
  defineWorkloadAttestor<Attempt, Attempt>({
    name: 'hostile',
    config,
    configure: (attempt) => attempt,
    async attest(_pid, { attempt, target }) {
      try {
        const result = await attempts[attempt]?.(target);
        return [`done:${typeof result === 'string' ? result : ''}`];
      } catch (error) {
        return [`refused:${error instanceof Error && 'code' in error ? error.code : error}`];
      }
    },
  }),
);

function dial(address: { path: string } | { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(address, () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', reject);
  });
}

function fail(code: string): never {
  throw Object.assign(new Error(code), { code });
}

/** By perl, which every Debian has; its numbers are those of x86-64, `name=number`. */
async function systemCall(call: string, ...args: readonly number[]): Promise<void> {
  const number = call.split('=')[1];
  const script = `my $r = syscall(${[number, ...args].join(', ')}); print $r < 0 ? (split / /, join ' ', map { $!{$_} ? $_ : () } keys %!)[0] : 'OK'`;
  const { stdout } = await promisify(execFile)('/usr/bin/perl', ['-MErrno', '-e', script]);
  if (stdout !== 'OK') fail(stdout);
}

async function forkWithoutEnd(): Promise<string> {
  const children = [];
  try {
    for (let count = 0; count < MANY; count++) {
      const child = spawn('/bin/sleep', ['60'], { stdio: 'ignore' });
      children.push(child);
      await new Promise((resolve, reject) => {
        child.once('spawn', resolve);
        child.once('error', reject);
      });
    }
    return `${children.length}`;
  } finally {
    for (const child of children) child.kill('SIGKILL');
  }
}

async function fillMemory(): Promise<string> {
  const held: Buffer[] = [];
  for (let count = 0; count < MANY; count++) held.push(Buffer.alloc(16 * 1024 * 1024, 1));
  return `${held.length}`;
}

async function fillLog(): Promise<void> {
  const line = `${'noise '.repeat(100)}\n`;
  for (let count = 0; count < LOG_LINES; count++) {
    if (!process.stderr.write(line)) await new Promise((resolve) => process.stderr.once('drain', resolve));
  }
}
