import { execFile } from 'node:child_process';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readHelperConfig } from '../../src/config/helper-config.ts';
import { type RunningHelper, startHelper } from '../../src/helper/index.ts';
import { Logger, type LogRecord } from '../../src/log/logger.ts';
import { TestDomain } from '../agent/test-domain.ts';
import { TestProcess } from '../harness/child-process.ts';
import { curl } from '../harness/curl.ts';
import { Daemon } from '../harness/daemon.ts';
import { eventually } from '../harness/eventually.ts';
import { freePort } from '../harness/free-port.ts';
import { MariadbServer, runMariadb } from '../harness/mariadb-server.ts';
import { PostgresServer } from '../harness/postgres-server.ts';
import type { TestAgent } from '../harness/running-agent.ts';
import { shownSerial, writtenSerial } from '../harness/shown-certificate.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';

const run = promisify(execFile);
const isRoot = process.getuid?.() === 0;
const ROTATION = { timeout: 60_000, interval: 250 };

/** Real servers that know nothing of SPIFFE, with files of `agent helper`; clients have theirs from it, too. */
describe('programs that only know files', () => {
  const resources = new AsyncDisposableStack();
  const records: LogRecord[] = [];
  let domain: TestDomain;
  let agent: TestAgent;
  let folder: TemporaryFolder;

  beforeAll(async () => {
    folder = resources.use(await createTemporaryFolder());
    await run('chmod', ['711', folder.path]); // the servers' own users pass
    domain = resources.use(await TestDomain.start({ settings: 'default_x509_svid_ttl = "16s"' }));
    await domain.createEntry('/server', { hint: 'server', dnsNames: ['localhost'] });
    await domain.createEntry('/app', { hint: 'app', dnsNames: ['app'] });
    await domain.createEntry('/reports', { hint: 'reports', dnsNames: ['reports'] });
    agent = resources.use(await domain.startAgent());
    for (const name of ['app', 'reports']) {
      await startFiles(name, `hint = "${name}"\n layout = "versions"`);
      await exists(folder.join(`${name}/svid.pem`));
    }
  }, 120_000);
  afterAll(() => resources.disposeAsync());

  /** A helper of this process that writes svid.pem, key.pem and bundle.pem to a folder of that name. */
  async function startFiles(name: string, settings: string): Promise<RunningHelper> {
    await mkdir(folder.join(name), { mode: 0o755, recursive: true });
    await writeFile(
      folder.join(`${name}.conf`),
      `agent_address = "unix://${agent.running.socketPath}"
cert_dir = "${folder.join(name)}"
svid_file_name = "svid.pem"
${settings.includes('svid_key_file_name') ? '' : 'svid_key_file_name = "key.pem"'}
svid_bundle_file_name = "bundle.pem"
${settings}
`,
    );
    const log = new Logger((record) => records.push(record), 'debug');
    return resources.use(await startHelper(readHelperConfig({ path: folder.join(`${name}.conf`) }), { log }));
  }

  /** Waits until a server shows another certificate than the one of `before`, and that it is one that was written. */
  async function rotated(name: string, before: string, port: number, startTls?: 'postgres' | 'mysql'): Promise<void> {
    await expect.poll(() => shownSerial(port, startTls), ROTATION).not.toBe(before);
    await expect
      .poll(
        async () => (await shownSerial(port, startTls)) === (await writtenSerial(folder.join(`${name}/svid.pem`))),
        ROTATION,
      )
      .toBe(true);
  }

  const curlAs = (client: string) => [
    ...['--cacert', folder.join(`${client}/bundle.pem`)],
    ...['--cert', folder.join(`${client}/svid.pem`)],
    ...['--key', folder.join(`${client}/key.pem`)],
  ];

  test('PostgreSQL takes SVIDs for roles by CN and by DN, and rotates its own with its sessions open', async () => {
    const pid = folder.join('postgres.pid');
    await startFiles(
      'postgres',
      `hint = "server"\n${isRoot ? 'owner = "postgres"' : ''}\nreload = "postgresql"\npid_file_name = "${pid}"`,
    );
    const file = (name: string) => folder.join(`postgres/${name}`);
    await exists(file('svid.pem'));
    expect((await stat(file('key.pem'))).mode & 0o777).toBe(0o600);
    if (isRoot) expect((await stat(file('key.pem'))).uid).toBe(Number((await run('id', ['-u', 'postgres'])).stdout));

    await using server = await PostgresServer.start({
      settings: [
        'ssl = on',
        `ssl_cert_file = '${file('svid.pem')}'`,
        `ssl_key_file = '${file('key.pem')}'`,
        `ssl_ca_file = '${file('bundle.pem')}'`,
      ],
      access: [
        'hostssl all app 127.0.0.1/32 cert',
        'hostssl all reporting 127.0.0.1/32 cert clientname=DN map=spiffe',
        'hostssl all other 127.0.0.1/32 cert',
      ],
      identities: ['spiffe "CN=reports,O=SPIRE,C=US" reporting'],
    });
    await writeFile(pid, await readFile(`${server.folder}/data/postmaster.pid`, 'utf8'));
    await server.query('create role app login; create role reporting login; create role other login');
    const psql = (client: string, role: string) => [
      ...['-X', '-q', '-t', '-A', '-v', 'ON_ERROR_STOP=1', '-d'],
      [
        `host=localhost hostaddr=127.0.0.1 port=${server.port} user=${role} dbname=postgres sslmode=verify-full`,
        `sslcert=${folder.join(`${client}/svid.pem`)} sslkey=${folder.join(`${client}/key.pem`)}`,
        `sslrootcert=${folder.join(`${client}/bundle.pem`)}`,
      ].join(' '),
    ];
    const ask = async (client: string, role: string) =>
      (await run('psql', [...psql(client, role), '-c', 'select current_user'])).stdout.trim();
    expect(await ask('app', 'app')).toBe('app');
    expect(await ask('reports', 'reporting')).toBe('reporting');
    await expect(ask('app', 'other')).rejects.toThrow('certificate authentication failed for user "other"');
    await expect(ask('app', 'reporting')).rejects.toThrow('certificate authentication failed for user "reporting"');

    await using session = await TestProcess.start('psql', psql('app', 'app'));
    const backend = async () => {
      session.writeLine('select pg_backend_pid();');
      return await session.readLine();
    };
    const before = await shownSerial(server.port, 'postgres');
    const held = await backend();
    expect(held).toMatch(/^\d+$/);
    await rotated('postgres', before, server.port, 'postgres');
    expect(await backend()).toBe(held);
    expect(await ask('app', 'app')).toBe('app');
  }, 180_000);

  test('MariaDB takes SVIDs for users by subject and issuer, and rotates its own with its sessions open', async () => {
    const file = (name: string) => folder.join(`mariadb/${name}`);
    await mkdir(folder.join('mariadb'));
    const socket = folder.join('mariadb.sock');
    const defaults = folder.join('mariadb.cnf');
    await writeFile(defaults, '[client]\nuser=reloader\npassword=not-to-be-logged\n', { mode: 0o600 });
    await startFiles(
      'mariadb',
      `hint = "server"\nreload = "mariadb"\nreload_socket = "${socket}"\nreload_defaults_file = "${defaults}"`,
    );
    await exists(file('svid.pem'));
    await using server = await MariadbServer.start(
      `--ssl-cert=${file('svid.pem')}`,
      `--ssl-key=${file('key.pem')}`,
      `--ssl-ca=${file('bundle.pem')}`,
    );
    await server.query("create user reloader@localhost identified by 'not-to-be-logged'");
    await server.query('grant reload on *.* to reloader@localhost');
    await run('ln', ['-s', server.socket, socket]);
    const issuer = (
      await run('openssl', ['x509', '-in', folder.join('app/svid.pem'), '-noout', '-issuer', '-nameopt', 'compat'])
    ).stdout
      .replace(/^issuer=/, '')
      .trim();
    await server.query(`create user app@'%' require subject '/C=US/O=SPIRE/CN=app' and issuer '${issuer}'`);
    await server.query("create user other@'%' require subject '/C=US/O=SPIRE/CN=other'");
    const client = (user: string) => [
      ...['--protocol=tcp', '--host=localhost', `--port=${server.port}`, `--user=${user}`, '--ssl-verify-server-cert'],
      `--ssl-ca=${folder.join('app/bundle.pem')}`,
      `--ssl-cert=${folder.join('app/svid.pem')}`,
      `--ssl-key=${folder.join('app/key.pem')}`,
    ];
    expect(await runMariadb(client('app'), 'select user()')).toBe('app@localhost');
    await expect(runMariadb(client('other'), 'select 1')).rejects.toThrow('Access denied');

    const session = ['--no-defaults', ...client('app'), '--batch', '--skip-column-names', '--unbuffered'];
    await using held = await TestProcess.start('mariadb', session);
    const connection = async () => {
      held.writeLine('select connection_id();');
      return await held.readLine();
    };
    const before = await shownSerial(server.port, 'mysql');
    const id = await connection();
    expect(id).toMatch(/^\d+$/);
    await rotated('mariadb', before, server.port, 'mysql');
    expect(JSON.stringify(records)).not.toContain('not-to-be-logged');
    expect(await connection()).toBe(id);
    expect(await runMariadb(client('app'), 'select user()')).toBe('app@localhost');
  }, 180_000);

  test('nginx shows its new certificate after a reload, and curl talks to it with one of its own', async () => {
    const [port, pid] = [await freePort(), folder.join('nginx.pid')];
    await startFiles('nginx', `hint = "server"\nreload = "nginx"\npid_file_name = "${pid}"`);
    await exists(folder.join('nginx/svid.pem'));
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (name) => `${name}_temp_path ${folder.join(`nginx-${name}`)};`,
    );
    await writeFile(
      folder.join('nginx.conf'),
      `pid ${pid};
worker_processes 1;
events {}
http {
  access_log off;
  ${temporary.join('\n  ')}
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${folder.join('nginx/svid.pem')};
    ssl_certificate_key ${folder.join('nginx/key.pem')};
    ssl_client_certificate ${folder.join('nginx/bundle.pem')};
    ssl_verify_client on;
    location / { return 200 "$ssl_client_s_dn"; }
  }
}
`,
    );
    const args = ['-e', 'stderr', '-p', folder.path, '-c', folder.join('nginx.conf'), '-g', 'daemon off;'];
    await using _nginx = await Daemon.start('nginx', args, async () => (await shownSerial(port)) !== '');
    await isServed(port, 'CN=app,O=SPIRE,C=US');
    await rotated('nginx', await shownSerial(port), port);
    await isServed(port, 'CN=app,O=SPIRE,C=US');
  }, 180_000);

  test('HAProxy reads certificate and key from one file, also again', async () => {
    const [port, pid] = [await freePort(), folder.join('haproxy.pid')];
    const names = 'svid_key_file_name = "svid.pem"';
    await startFiles('haproxy', `hint = "server"\n${names}\nreload = "haproxy"\npid_file_name = "${pid}"`);
    await exists(folder.join('haproxy/svid.pem'));
    await writeFile(
      folder.join('haproxy.cfg'),
      `defaults
  mode http
  timeout client 10s
  timeout connect 10s
  timeout server 10s
frontend web
  bind 127.0.0.1:${port} ssl crt ${folder.join('haproxy/svid.pem')} ca-file ${folder.join('haproxy/bundle.pem')} verify required
  http-request return status 200 content-type text/plain lf-string "%[ssl_c_s_dn(cn)]"
`,
    );
    const args = ['-W', '-f', folder.join('haproxy.cfg'), '-p', pid];
    await using _haproxy = await Daemon.start('haproxy', args, async () => (await shownSerial(port)) !== '');
    await isServed(port, 'app');
    await rotated('haproxy', await shownSerial(port), port);
    await isServed(port, 'app');
  }, 180_000);

  /** Only with a certificate; the body says whose. */
  async function isServed(port: number, client: string): Promise<void> {
    const url = `https://localhost:${port}/`;
    const resolved = ['--resolve', `localhost:${port}:127.0.0.1`];
    expect(await curl(url, ...resolved, ...curlAs('app'))).toMatchObject({ status: 200, body: client });
    const anonymous = curl(url, ...resolved, '--cacert', folder.join('app/bundle.pem'));
    expect((await anonymous.catch(() => ({ status: 0 }))).status).not.toBe(200);
  }
});

async function exists(path: string): Promise<void> {
  await eventually(() => stat(path), 30_000);
}
