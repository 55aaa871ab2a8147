import { chmod, link, mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SVIDDefinition } from '../../src/gen/spire/api/server/svid/v1/svid.ts';
import { isSpiffeError } from '../../src/spiffe/error.ts';
import { TestServer, type TestServerOptions } from '../harness/running-server.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { isGone } from '../plugin-host/is-gone.ts';
import { apiId } from './callers.ts';

let folder: TemporaryFolder;

beforeEach(async () => {
  folder = await createTemporaryFolder();
});
afterEach(() => folder[Symbol.asyncDispose]());

const start = (options: Partial<TestServerOptions> = {}) => TestServer.start({ folder: folder.path, ...options });
const database = () => folder.join('data/datastore.sqlite3');

/** Child processes of this one, which in these tests are plugins. */
async function children(): Promise<readonly number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const parents = await Promise.all(pids.map(async (pid) => [pid, await parentOf(pid)] as const));
  return parents.filter(([pid, parent]) => parent === process.pid && !isGone(pid)).map(([pid]) => pid);
}

async function parentOf(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1]);
}

/** Has a start fail, and nothing left of it. */
async function failure(options: Partial<TestServerOptions> = {}): Promise<unknown> {
  const before = await children();
  const error: unknown = await start(options).then(
    (server) => server[Symbol.asyncDispose](),
    (cause: unknown) => cause,
  );
  expect(error).toBeInstanceOf(Error);
  expect(await children()).toEqual(before);
  return error;
}

/** Has a start fail for a reason that one line tells. */
async function refused(options: Partial<TestServerOptions> = {}): Promise<string> {
  const error = await failure(options);
  if (!isSpiffeError(error)) throw new Error('it failed in another way', { cause: error });
  expect(error.message).toMatch(/^\S.*[^.]$/);
  return `${error.code} ${error.message}`;
}

describe('a start is refused, and leaves nothing behind', () => {
  test('port in use', async () => {
    await using other = await TestServer.start({ folder: (await subfolder('other')).path });
    const { port } = other.running;
    expect(await refused({ port })).toMatch(
      new RegExp(`^SOCKET_UNUSABLE .*port ${port}: it is in use, stop what listens there or choose another port$`),
    );
    expect(await readdir(folder.path)).not.toContain('admin.sock');
  });

  test('socket in use', async () => {
    await using other = await start();
    const message = await refused({ settings: '', folder: folder.path });
    expect(message).toMatch(/^SOCKET_UNUSABLE .*admin\.sock": another process listens on it, stop that/);
    expect((await stat(other.running.socketPath)).isSocket()).toBe(true);
    await other.admin(SVIDDefinition).mintJWTSVID({ id: apiId('/web'), audience: ['a'], ttl: 0 });
  });

  test('socket path too long', async () => {
    const long = await subfolder('x'.repeat(100));
    expect(await refused({ folder: long.path })).toMatch(
      /^CONFIG_INVALID .*the path of a socket has 107 bytes at most/,
    );
  });

  test('a file where the socket goes', async () => {
    await writeFile(folder.join('admin.sock'), 'mine');
    expect(await refused()).toMatch(/^SOCKET_UNUSABLE .*something that is no socket is there, remove it/);
  });

  test('data folder open to all', async () => {
    await mkdir(folder.join('data'));
    await chmod(folder.join('data'), 0o755);
    expect(await refused()).toMatch(/^FILE_UNUSABLE .*is open to every user: run chmod o-rwx on it$/);
  });

  test('data folder that is a file', async () => {
    await writeFile(folder.join('data'), '');
    expect(await refused()).toMatch(/^FILE_UNUSABLE .*it is no folder, name another data_dir$/);
  });

  test('database of a newer version', async () => {
    await startAndStop();
    sql(`insert into schema_migration (name, timestamp) values ('9999-later', '2030')`);
    expect(await refused()).toMatch(/^DATASTORE_UNUSABLE .*newer version/);
  });

  test('damaged database', async () => {
    await mkdir(folder.join('data'), { mode: 0o700 });
    await writeFile(database(), 'not a database');
    expect(await refused()).toMatch(/^DATASTORE_UNUSABLE .*restore it from a backup/);
  });

  test('a database of SPIRE', async () => {
    await mkdir(folder.join('data'), { mode: 0o700 });
    sql('create table migrations (id integer, version integer, code_version text)');
    sql('create table registered_entries (id integer)');
    expect(await refused()).toMatch(/^DATASTORE_UNUSABLE .*SPIRE server's: it stays untouched/);
  });

  test('a damaged journal', async () => {
    await startAndStop();
    sql("update ca_journal set data = x'00'");
    expect(await refused()).toMatch(/^DATASTORE_UNUSABLE .*journal .*restore the database from a backup/);
  });

  test.each([
    ['missing', 'plugin_cmd = "/nonexistent/plugin"', /^PLUGIN_NOT_LOADED .*"\/nonexistent\/plugin"/],
    ['that exits at once', 'plugin_cmd = "/bin/false"', /^PLUGIN_NOT_LOADED .*exited with status 1/],
    ['that prints noise', 'plugin_cmd = "/bin/echo" plugin_args = ["hello"]', /^PLUGIN_NOT_LOADED .*hello/],
    ['with a wrong checksum', `plugin_cmd = "/bin/true" plugin_checksum = "${'0'.repeat(64)}"`, /^PLUGIN_NOT_LOADED /],
  ])('a plugin %s', async (_what, plugin, message) => {
    const plugins = `KeyManager "memory" {}\n NodeAttestor "other" { ${plugin.replace(' plugin_', '\n plugin_')} }`;
    expect(await refused({ plugins })).toMatch(message);
  });
});

describe('a crash in the first start', () => {
  const fragile = (calls: number) => `KeyManager "fragile" {
    plugin_cmd = "${process.execPath}"
    plugin_args = ["${fileURLToPath(new URL('fragile-key-manager.ts', import.meta.url))}", "${calls}"]
    plugin_data { keys_path = "${folder.path}/keys.json" }
  }`;

  // The call may be one that is made again once the plugin has started again: then the start goes on.
  test.each([1, 2, 3, 4, 5, 6])('in call %d of the key manager does not hinder the next', async (calls) => {
    const before = await children();
    const outcome = await start({ plugins: fragile(calls) }).then(
      (server) => server[Symbol.asyncDispose](),
      (error: unknown) => error,
    );
    if (outcome !== undefined) {
      expect(outcome).toMatchObject({
        code: 'PLUGIN_EXITED',
        message: expect.stringMatching(/^keymanager\(fragile\): /),
      });
    }
    expect(await children()).toEqual(before);
    await worksAgain(fragile(0));
  });

  test('writing the bundle does not hinder the next', () => crash('insert', 'bundle'));
  test('writing the journal first does not hinder the next', () => crash('insert', 'ca_journal'));
  test('writing the journal later does not hinder the next', () => crash('update', 'ca_journal'));

  async function crash(change: 'insert' | 'update', table: string): Promise<void> {
    await startAndStop();
    for (const name of ['ca_journal', 'bundle']) sql(`delete from ${name}`);
    sql(`create trigger crash before ${change} on ${table} begin select raise(abort, 'crash'); end`);
    expect(await failure({ plugins: fragile(0) })).toMatchObject({ message: 'crash' });
    sql('drop trigger crash');
    await worksAgain(fragile(0));
  }

  async function worksAgain(plugins: string): Promise<void> {
    const mint = { id: apiId('/web'), audience: ['a'], ttl: 0 };
    let authorities: readonly unknown[];
    {
      await using server = await start({ plugins });
      await server.admin(SVIDDefinition).mintJWTSVID(mint);
      authorities = server.running.bundle.x509Authorities;
      expect(authorities.length).toBeLessThan(3);
    }
    await using server = await start({ plugins });
    await server.admin(SVIDDefinition).mintJWTSVID(mint);
    expect(server.running.bundle.x509Authorities).toEqual(authorities);
  }
});

async function startAndStop(): Promise<void> {
  await (await start())[Symbol.asyncDispose]();
}

function sql(text: string): void {
  const db = new DatabaseSync(database());
  try {
    db.exec(text);
  } finally {
    db.close();
  }
}

async function subfolder(name: string) {
  const path = folder.join(name);
  await mkdir(path);
  return { path };
}

test('a stopped server leaves neither socket nor plugin', async () => {
  const before = await children();
  const server = await start();
  const pids = server.running.plugins.flatMap(({ pid }) => pid ?? []);
  expect(pids).toHaveLength(1);
  await server[Symbol.asyncDispose]();
  expect(pids.filter((pid) => !isGone(pid))).toEqual([]);
  expect(await children()).toEqual(before);
  expect(await readdir(folder.path)).toEqual(['data', 'server.conf']);
});

test('takes over the socket of a server that died', async () => {
  const path = folder.join('admin.sock');
  const { promise, resolve } = Promise.withResolvers<void>();
  const dead = createServer().listen(path, resolve);
  await promise;
  await link(path, folder.join('kept'));
  dead.close();
  await rename(folder.join('kept'), path);
  await using server = await start();
  await server.admin(SVIDDefinition).mintJWTSVID({ id: apiId('/web'), audience: ['a'], ttl: 0 });
});
