import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../harness/free-port.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { ProgramProcess, runCli } from './run-cli.ts';
import { type ServerConf, ServerProcess, writeServerConf } from './server-process.ts';

const resources = new AsyncDisposableStack();
let folder: TemporaryFolder;

beforeAll(async () => {
  folder = resources.use(await createTemporaryFolder());
});
afterAll(() => resources.disposeAsync());

let cases = 0;
/** A folder for one case. */
async function caseFolder(): Promise<string> {
  const path = folder.join(String(++cases));
  await mkdir(path);
  return path;
}

function childrenOf(pid: number): Promise<string> {
  return readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
}

describe('server run', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)(
    'stops in order at %s: no socket, no process, exit code 0',
    async (signal) => {
      const path = await caseFolder();
      await using server = await ServerProcess.start({ folder: path });
      const plugins = (await childrenOf(server.program.pid)).trim().split(' ');
      expect(plugins).toHaveLength(1);
      server.program.signal(signal);
      await server.program.waitFor('msg="stopped"');
      expect(await server.program.ended()).toBe(0);
      expect(existsSync(`${path}/admin.sock`)).toBe(false);
      expect(plugins.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([]);
    },
  );

  test('stops while it starts', async () => {
    const path = await caseFolder();
    const config = await writeServerConf({ folder: path });
    await using program = new ProgramProcess(['server', 'run', '-config', config]);
    await program.waitFor('datastore is open');
    expect(await program.stop()).toBe(0);
    expect(program.text).not.toContain('Error');
    expect(existsSync(`${path}/admin.sock`)).toBe(false);
  });

  test('starts again with what it had', async () => {
    const path = await caseFolder();
    const plugins = `KeyManager "disk" { plugin_data { keys_path = "${path}/data/keys.json" } }\n  NodeAttestor "join_token" {}`;
    const bundles: string[] = [];
    for (const _start of ['first', 'second']) {
      await using server = await ServerProcess.start({ folder: path, plugins });
      bundles.push((await server.run(['bundle', 'show', '-format', 'spiffe'])).stdout);
    }
    expect(bundles[1]).toBe(bundles[0]);
  });

  test('takes flags before the file', async () => {
    const path = await caseFolder();
    const config = await writeServerConf({ folder: path, bindPort: await freePort() });
    const flags = [`-socketPath=${path}/other.sock`, '-logFormat', 'json', '--logLevel', 'debug'];
    await using program = new ProgramProcess(['server', 'run', '-config', config, ...flags, '-logSourceLocation']);
    await program.waitFor('server is ready');
    const [first = ''] = program.text.split('\n');
    expect(JSON.parse(first)).toMatchObject({
      level: expect.any(String),
      file: expect.stringMatching(/\/dist\/assayer\.js:\d+:\d+$/),
    });
    expect((await runCli(['server', 'healthcheck', '-socketPath', `${path}/other.sock`])).code).toBe(0);
  });

  test('expands variables', async () => {
    const path = await caseFolder();
    const config = await writeServerConf({ folder: path, settings: 'jwt_issuer = "$ISSUER"' });
    const env = { ISSUER: 'https://issuer.example' };
    const { code, stderr } = await runCli(['server', 'validate', '-config', config, '-expandEnv'], { env });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  test('logs to a file that SIGUSR2 opens again, closed to other users', async () => {
    const path = await caseFolder();
    const config = await writeServerConf({ folder: path, bindPort: await freePort() });
    await using program = new ProgramProcess(['server', 'run', '-config', config, '-logFile', `${path}/log`]);
    await expect.poll(() => readFile(`${path}/log`, 'utf8').catch(() => '')).toContain('server is ready');
    expect((await stat(`${path}/log`)).mode & 0o007).toBe(0);
    await rename(`${path}/log`, `${path}/log.1`);
    program.signal('SIGUSR2');
    await expect.poll(() => existsSync(`${path}/log`)).toBe(true);
    expect(await program.stop()).toBe(0);
    expect(await readFile(`${path}/log`, 'utf8')).toContain('msg="stopped"');
    expect(await readFile(`${path}/log.1`, 'utf8')).not.toContain('msg="stopped"');
    expect(program.text).toBe('');
  });

  test('makes files for its user and group alone, whatever the umask', async () => {
    const path = await caseFolder();
    await using server = await ServerProcess.start({ folder: path });
    const status = await readFile(`/proc/${server.program.pid}/status`, 'utf8');
    expect(Number.parseInt(/^Umask:\s+(\d+)$/m.exec(status)?.[1] ?? '0', 8) & 0o027).toBe(0o027);
    for (const name of await readdir(`${path}/data`)) expect((await stat(`${path}/data/${name}`)).mode & 0o007).toBe(0);
  });
});

/** What a case needs before the server starts, and what is told of it. */
interface BadStart {
  readonly what: string;
  readonly conf?: Partial<ServerConf>;
  readonly flags?: readonly string[];
  readonly message: string | RegExp;
  prepare?(path: string): Promise<Partial<ServerConf> & Partial<AsyncDisposable>>;
}

const keyManager = (settings: string) => `KeyManager "memory" { ${settings} }\n  NodeAttestor "join_token" {}`;

const badStarts: readonly BadStart[] = [
  {
    what: 'a port that is in use',
    prepare: async () => {
      const other = createServer();
      await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
      const address = other.address();
      const bindPort = typeof address === 'object' && address !== null ? address.port : 0;
      return { bindPort, [Symbol.asyncDispose]: async () => void other.close() };
    },
    message: /^cannot listen on 127\.0\.0\.1 port \d+: it is in use, stop what listens there or choose another port$/,
  },
  {
    what: 'a socket that is in use',
    prepare: async (path) => {
      const other = createServer();
      await new Promise<void>((resolve) => other.listen(`${path}/used.sock`, resolve));
      return { socketPath: `${path}/used.sock`, [Symbol.asyncDispose]: async () => void other.close() };
    },
    message:
      /^cannot listen on the socket ".*used\.sock": another process listens on it, stop that or choose another path$/,
  },
  {
    what: 'something at the path of the socket that is none',
    prepare: async (path) => {
      await writeFile(`${path}/file`, 'keep me');
      return { socketPath: `${path}/file` };
    },
    message: 'something that is no socket is there, remove it or choose another path',
  },
  {
    what: 'a path of the socket that is too long',
    flags: ['-socketPath', `/tmp/${'x'.repeat(120)}`],
    message: /-socketPath: the path of a socket has 107 bytes at most/,
  },
  {
    what: 'a data folder that others may read',
    prepare: async (path) => {
      await mkdir(`${path}/data`);
      await chmod(`${path}/data`, 0o755);
      return {};
    },
    message: /^the data folder ".*" is open to every user: run chmod o-rwx on it$/,
  },
  {
    what: 'a data folder that is a file',
    prepare: async (path) => {
      await writeFile(`${path}/data`, '');
      return {};
    },
    message: /^the data folder ".*" cannot be written: it is no folder, name another data_dir$/,
  },
  {
    what: 'a data folder that cannot be created',
    flags: ['-dataDir', '/proc/nothing/data'],
    message: /^the data folder "\/proc\/nothing\/data" cannot be written: .*name another data_dir$/,
  },
  {
    what: 'a database of a newer version',
    prepare: async (path) => {
      await using first = await ServerProcess.start({ folder: path });
      await first.program.stop();
      const database = new DatabaseSync(`${path}/data/datastore.sqlite3`);
      database.exec("INSERT INTO schema_migration (name, timestamp) VALUES ('9999_future', '2099-01-01T00:00:00Z')");
      database.close();
      return {};
    },
    message: /^datastore was written by a newer version .*run that version, or restore a backup from before it$/,
  },
  {
    what: 'a damaged database',
    prepare: async (path) => {
      await mkdir(`${path}/data`, { mode: 0o700 });
      await writeFile(`${path}/data/datastore.sqlite3`, Buffer.alloc(8192, 0x5a), { mode: 0o600 });
      return {};
    },
    message: /^datastore file ".*" is not an SQLite database: restore it from a backup/,
  },
  {
    what: 'a plugin that is missing',
    conf: { plugins: keyManager('plugin_cmd = "/nonexistent/plugin"') },
    message: /^failed to load plugin "memory": cannot run "\/nonexistent\/plugin".*check the path in plugin_cmd/,
  },
  {
    what: 'a plugin that exits at once',
    conf: { plugins: keyManager('plugin_cmd = "/bin/false"') },
    message: /^failed to load plugin "memory": it exited with status 1 before its handshake/,
  },
  {
    what: 'a plugin that prints noise',
    conf: { plugins: keyManager('plugin_cmd = "/usr/bin/yes"') },
    message: /^failed to load plugin "memory": first line on stdout is not a handshake/,
  },
  {
    what: 'a plugin that nobody knows',
    conf: { plugins: 'KeyManager "memry" {}' },
    message: 'KeyManager "memry" is not built in: name its executable with plugin_cmd',
  },
  {
    what: 'no key manager',
    conf: { plugins: '' },
    message: /KeyManager/,
  },
  {
    what: 'a log file that cannot be opened',
    flags: ['-logFile', '/nonexistent/log'],
    message: /^the log file "\/nonexistent\/log" cannot be opened: .*name another log_file$/,
  },
  {
    what: 'a configuration that is missing',
    flags: ['-config', '/nonexistent/server.conf'],
    message: '/nonexistent/server.conf does not exist: use -config to name the file',
  },
];

describe('server run refuses', () => {
  test.each(badStarts)(
    '$what: one line, exit code 1, nothing left or lost',
    async ({ conf, flags = [], message, prepare }) => {
      const path = await caseFolder();
      const prepared = await prepare?.(path);
      const config = await writeServerConf({ folder: path, ...conf, ...prepared });
      const before = await filesOf(path);
      const { code, stdout, stderr } = await runCli(['server', 'run', '-config', config, ...flags]);
      await prepared?.[Symbol.asyncDispose]?.();
      const errors = stderr.split('\n').filter((line) => line !== '' && !line.startsWith('time='));
      expect({ code, stdout, errors }).toEqual({ code: 1, stdout: '', errors: [expect.stringMatching(/^Error: /)] });
      const told = errors[0]?.slice('Error: '.length) ?? '';
      if (typeof message === 'string') expect(told).toContain(message);
      else expect(told).toMatch(message);
      expect(existsSync(`${path}/admin.sock`)).toBe(false);
      const after = await filesOf(path);
      for (const [name, digest] of before) expect([name, after.get(name)]).toEqual([name, digest]);
      expect([...after.keys()].filter((name) => name.endsWith('.tmp'))).toEqual([]);
    },
  );

  test('every mistake of a configuration, one a line', async () => {
    const path = await caseFolder();
    const settings = 'ca_ttl = "soon"\n  jwt_isuer = "x"';
    const config = await writeServerConf({ folder: path, settings });
    for (const command of ['run', 'validate']) {
      const { code, stdout, stderr } = await runCli(['server', command, '-config', config, '-logLevel', 'loud']);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      const lines = stderr.trimEnd().split('\n');
      expect(lines).toHaveLength(3);
      expect(lines.every((line) => line.startsWith('Error: '))).toBe(true);
      expect(stderr).toContain('did you mean "jwt_issuer"?');
      expect(stderr).toContain('command line: -logLevel: must be one of');
    }
  });
});

describe('server validate', () => {
  test('says that a file is valid, and what is likely not meant', async () => {
    const path = await caseFolder();
    const config = await writeServerConf({ folder: path, settings: 'default_x509_svid_ttl = "23h"' });
    const { code, stdout, stderr } = await runCli(['server', 'validate', '-config', config]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'Server configuration file is valid.\n' });
    expect(stderr).toMatch(/^Warning: default_x509_svid_ttl is too high.*\n$/);
    expect(existsSync(`${path}/data`)).toBe(false);
  });

  test('hands on what plugins have against their configuration, all of it', async () => {
    const path = await caseFolder();
    const plugins = `KeyManager "disk" { plugin_data { keys_pth = "${path}/keys" } }
      NodeAttestor "tpm" { plugin_data { ca_path = "${path}/absent" } }`;
    const config = await writeServerConf({ folder: path, plugins });
    const { code, stdout, stderr } = await runCli(['server', 'validate', '-config', config]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/failed to validate plugin "disk": .*keys_pth.*did you mean "keys_path"/);
    expect(stderr).toMatch(/failed to validate plugin "tpm": .*absent/);
  });
});

/** Digests of what stands below a folder; sockets and SQLite's own side files aside. */
async function filesOf(path: string): Promise<ReadonlyMap<string, string>> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && !/-(wal|shm)$/.test(entry.name));
  const digests = files.map(async (entry) => {
    const name = `${entry.parentPath}/${entry.name}`;
    return [
      name,
      createHash('sha256')
        .update(await readFile(name))
        .digest('hex'),
    ] as const;
  });
  return new Map(await Promise.all(digests));
}
