import { execFileSync } from 'node:child_process';
import { chmod, chown, mkdir, readdir } from 'node:fs/promises';
import { getPriority, tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SocketFolder } from '../../src/plugin-host/socket-folder.ts';
import { TestProcess } from '../harness/child-process.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { isGone } from './is-gone.ts';

const program = join(import.meta.dirname, '..', 'harness', 'hostile-host.ts');
const NOBODY = 65534;
const isRoot = process.getuid?.() === 0;

/** Whether an ordinary user could run the programs of this checkout, and set up namespaces of its own. */
function canRunAsNobody(): boolean {
  try {
    execFileSync('setpriv', [...asNobody, 'unshare', '--user', process.execPath, '-e', ''], { stdio: 'ignore' });
    execFileSync('setpriv', [...asNobody, 'cat', program], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
const asNobody = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];

interface HostileHost extends AsyncDisposable {
  readonly process: TestProcess;
  readonly pids: readonly number[];
  readonly socket: string;
  attempt(name: string): Promise<string | undefined>;
}

async function startHost(folder: TemporaryFolder, user: 'this' | 'nobody'): Promise<HostileHost> {
  const own = folder.join(user);
  await mkdir(join(own, 'data'), { recursive: true, mode: 0o700 });
  if (user === 'nobody') {
    await chmod(folder.path, 0o755);
    for (const path of [own, join(own, 'data')]) await chown(path, NOBODY, NOBODY);
  }
  const command = [process.execPath, program, own];
  const host =
    user === 'this'
      ? await TestProcess.node(...command.slice(1))
      : await TestProcess.start('setpriv', [...asNobody, ...command]);
  const { pids, socket } = JSON.parse((await host.readLine()) ?? '{}');
  return {
    process: host,
    pids,
    socket,
    async attempt(name) {
      host.writeLine(name);
      return await host.readLine();
    },
    [Symbol.asyncDispose]: () => host[Symbol.asyncDispose](),
  };
}

const REFUSED: readonly (readonly [string, string, RegExp])[] = [
  ['reads the key file of another plugin', 'read', /^refused:(?:ENOENT|EACCES)$/],
  ['writes beside it', 'write', /^refused:(?:ENOENT|EACCES|EROFS)$/],
  ['connects to the admin socket', 'connect', /^refused:(?:ENOENT|EACCES)$/],
  ['connects to the socket of another plugin', 'connect-plugin', /^refused:(?:ENOENT|EACCES)$/],
  ['connects to an abstract socket', 'connect-abstract', /^refused:(?:ECONNREFUSED|EPERM)$/],
  ['dials out', 'dial', /^refused:EACCES$/],
  ['opens the memory of the host', 'memory', /^refused:(?:ENOENT|EACCES)$/],
  ['sends the host a signal', 'signal', /^refused:(?:ESRCH|EPERM)$/],
  ['traces the host', 'trace', /^refused:(?:EPERM|ENOSYS)$/],
  ['makes a user namespace', 'unshare', /^refused:EPERM$/],
  ['looks into a keyring', 'keyring', /^refused:EPERM$/],
  ['replaces the socket of the host services', 'replace-host-socket', /^refused:(?:EROFS|EACCES|EEXIST)$/],
  ['reads a variable of the host', 'environment', /^refused:ENOENT$/],
  ['forks without end', 'fork', /^refused:EAGAIN$/],
  [
    'fills the memory',
    'fill-memory',
    /^(?:refused:ERR_MEMORY_ALLOCATION_FAILED|failed:.*(?:process|hang|UNAVAILABLE).*)$/,
  ],
  ['fills the log', 'fill-log', /^done:$/],
];

const users = isRoot && canRunAsNobody() ? (['this', 'nobody'] as const) : (['this'] as const);

describe.each(users)('a hostile plugin of a host that runs as %s user', (user) => {
  let folder: TemporaryFolder;
  let host: HostileHost;
  beforeAll(async () => {
    folder = await createTemporaryFolder();
    host = await startHost(folder, user);
  });
  afterAll(async () => {
    await host[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  test.each(REFUSED)('%s, and the others serve on', async (_what, name, expected) => {
    expect(await host.attempt(name)).toMatch(expected);
  });

  test.each(['read', 'connect', 'dial', 'signal', 'environment'])(
    'can do it all without a sandbox: %s',
    async (name) => {
      expect(await host.attempt(`${name} free`)).toMatch(/^done:/);
    },
  );

  if (user === 'this' && isRoot) {
    test('forks as root: a control group ends that, where there is one', async () => {
      expect(await host.attempt('fork counted')).toMatch(/^refused:EAGAIN$|^not possible$/);
    });
  }

  test('comes after all others where its CPU weight is low', async () => {
    expect(await host.attempt('priority')).toBe(`done:${getPriority()}`);
    expect(await host.attempt('priority light')).toBe(`done:${getPriority() + 3}`); // 1.25³ is 2
  }, 120_000);

  test('is refused where its sandbox is required and not possible', async () => {
    const answer = await host.attempt('user required');
    if (user === 'this' && isRoot) expect(answer).toMatch(/^done:/);
    else
      expect(answer).toMatch(
        /its sandbox is required, and "user" is not possible here: this program does not run as root/,
      );
  });

  test('has a user that neither the host nor another has, where the host may give one', async () => {
    const answer = await host.attempt('user');
    if (user === 'this' && isRoot) expect(Number(answer?.replace('done:', ''))).toBeGreaterThan(1_000_000);
    else expect(answer).toBe(`done:${user === 'nobody' ? NOBODY : process.getuid?.()}`);
  });

  test('is gone within a second after its host was killed, and the next start clears the sockets', async () => {
    expect(host.pids.length).toBeGreaterThan(1);
    await host.process.kill();
    // docs/server/crashes.md promises that second.
    await expect.poll(() => host.pids.filter((pid) => !isGone(pid)), { timeout: 1_000, interval: 20 }).toEqual([]);
    const left = dirname(host.socket);
    const names = async () => (await readdir(tmpdir())).filter((name) => name === basename(left));
    expect((await names()).length).toBeLessThanOrEqual(1); // none where the host of another test has started meanwhile
    if (user === 'this') await SocketFolder.removeStale();
    else await (await startHost(folder, user))[Symbol.asyncDispose]();
    expect(await names()).toEqual([]);
  });
});
