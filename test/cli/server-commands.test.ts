import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdir, readFile, stat } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { runCli } from './run-cli.ts';
import { ServerProcess } from './server-process.ts';

const resources = new AsyncDisposableStack();
let folder: TemporaryFolder;
let server: ServerProcess;

beforeAll(async () => {
  folder = resources.use(await createTemporaryFolder());
  server = resources.use(await ServerProcess.start({ folder: folder.path }));
});
afterAll(() => resources.disposeAsync());

describe('token generate', () => {
  test('prints a token', async () => {
    const { code, stdout } = await server.run(['token', 'generate']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Token: [0-9a-f-]{36}\nWarning: Missing SPIFFE ID\.\n$/);
  });

  test('prints JSON, and gives the life that was asked for', async () => {
    const { json } = await server.runJson(['token', 'generate', '-ttl', '60', '-spiffeID', 'spiffe://example.org/n']);
    expect(json).toEqual({ value: expect.stringMatching(/^[0-9a-f-]{36}$/), expires_at: expect.any(String) });
    expect(Number(json.expires_at) - Date.now() / 1000).toBeLessThan(61);
  });

  test('refuses an ID that is none', async () => {
    const { code, stderr } = await server.run(['token', 'generate', '-spiffeID', 'http://x']);
    expect({ code, lines: stderr.split('\n').length }).toEqual({ code: 1, lines: 2 });
    expect(stderr).toContain('Error: -spiffeID: ');
  });
});

describe('agent', () => {
  test('list and count say that there is none', async () => {
    expect((await server.run(['agent', 'list'])).stdout).toBe('No attested agents found\n');
    expect((await server.run(['agent', 'count'])).stdout).toBe('0 attested agents\n');
    expect((await server.runJson(['agent', 'list'])).json).toEqual({ agents: [], next_page_token: '' });
    expect((await server.runJson(['agent', 'count', '-canReattest', 'true'])).json).toEqual({ count: 0 });
  });

  test('purge has none', async () => {
    expect((await server.run(['agent', 'purge', '-dryRun'])).stdout).toBe('No agents to purge.\n');
    expect((await server.runJson(['agent', 'purge'])).json).toEqual({ expired_agents: [] });
  });

  test.each(['show', 'ban', 'evict'])('%s tells that there is no such agent', async (command) => {
    const { code, stdout, stderr } = await server.run([
      'agent',
      command,
      '-spiffeID',
      'spiffe://example.org/spire/agent/x/y',
    ]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^Error: .*spire\/agent\/x\/y.*\n$/);
  });

  test.each(['show', 'ban', 'evict'])('%s wants an ID', async (command) => {
    const { code, stderr } = await server.run(['agent', command]);
    expect({ code, stderr }).toEqual({ code: 1, stderr: 'Error: give the -spiffeID of the agent\n' });
  });

  test('list refuses a time that is none', async () => {
    const { code, stderr } = await server.run(['agent', 'list', '-expiresBefore', 'yesterday']);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining('"yesterday" is no time') });
  });
});

describe('bundle', () => {
  test('show prints PEM', async () => {
    const { code, stdout } = await server.run(['bundle', 'show']);
    expect(code).toBe(0);
    expect(new X509Certificate(stdout).ca).toBe(true);
  });

  test('show prints a bundle document', async () => {
    const { stdout } = await server.run(['bundle', 'show', '-format', 'spiffe']);
    const uses = JSON.parse(stdout).keys.map((key: { use: string }) => key.use);
    expect(uses).toEqual(['x509-svid', 'jwt-svid']);
  });

  test('show prints JSON', async () => {
    const { json } = await server.runJson(['bundle', 'show']);
    expect(json).toMatchObject({ trust_domain: 'example.org', x509_authorities: [{ tainted: false }] });
    expect(new X509Certificate(Buffer.from(json.x509_authorities[0].asn1, 'base64')).ca).toBe(true);
  });

  test('count has our own', async () => {
    expect((await server.run(['bundle', 'count'])).stdout).toBe('1 bundle\n');
  });
});

describe('x509 mint', () => {
  const flags = ['-spiffeID', 'spiffe://example.org/minted', '-dns', 'a.example', '-ttl', '1m'];

  test('writes files that openssl verifies, the key for its owner alone', async () => {
    const path = folder.join('minted');
    await mkdir(path);
    const { code, stdout, stderr } = await server.run(['x509', 'mint', ...flags, '-write', path]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toBe(
      `X509-SVID written to ${path}/svid.pem\nPrivate key written to ${path}/key.pem\nRoot CAs written to ${path}/bundle.pem\n`,
    );
    execFileSync('openssl', ['verify', '-CAfile', `${path}/bundle.pem`, `${path}/svid.pem`]);
    expect((await stat(`${path}/key.pem`)).mode & 0o777).toBe(0o600);
    const leaf = new X509Certificate(await readFile(`${path}/svid.pem`));
    expect(leaf.subjectAltName).toBe('URI:spiffe://example.org/minted, DNS:a.example');
    const publicKey = execFileSync('openssl', ['pkey', '-in', `${path}/key.pem`, '-pubout'], { encoding: 'utf8' });
    expect(leaf.publicKey.export({ type: 'spki', format: 'pem' })).toBe(publicKey);
  });

  test('prints PEM', async () => {
    const { stdout } = await server.run(['x509', 'mint', ...flags]);
    expect(stdout).toMatch(
      /^X509-SVID:\n-----BEGIN CERTIFICATE-----\n[^:]+Private key:\n-----BEGIN PRIVATE KEY-----\n[^:]+Root CAs:\n-----BEGIN/,
    );
  });

  test('prints JSON', async () => {
    const { json } = await server.runJson(['x509', 'mint', ...flags]);
    expect(Object.keys(json)).toEqual(['x509_svid', 'private_key', 'root_cas']);
    expect(new X509Certificate(Buffer.from(json.x509_svid[0], 'base64')).subject).toBeDefined();
  });

  test('tells that the server gave less than was asked for', async () => {
    const { code, stderr } = await server.run(['x509', 'mint', '-spiffeID', 'spiffe://example.org/m', '-ttl', '8760h']);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^X509-SVID lifetime was capped shorter than specified ttl; expires .* UTC\n$/);
  });

  test('refuses a folder that does not exist', async () => {
    const { code, stderr } = await server.run(['x509', 'mint', ...flags, '-write', '/nonexistent']);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'Error: the folder "/nonexistent" does not exist: create it\n',
    });
  });

  test('tells what the server refuses', async () => {
    const { code, stdout, stderr } = await server.run(['x509', 'mint', '-spiffeID', 'spiffe://other.test/x']);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^Error: .*other\.test.*\n$/);
  });
});

describe('jwt mint', () => {
  const flags = ['-spiffeID', 'spiffe://example.org/minted', '-audience', 'a', '-audience', 'b', '-ttl', '1m'];

  test('prints a token', async () => {
    const { code, stdout } = await server.run(['jwt', 'mint', ...flags]);
    expect(code).toBe(0);
    const claims = JSON.parse(Buffer.from(stdout.split('.')[1] ?? '', 'base64url').toString());
    expect(claims).toMatchObject({ sub: 'spiffe://example.org/minted', aud: ['a', 'b'] });
    expect(claims.exp - claims.iat).toBe(60);
  });

  test('writes a token for its owner alone', async () => {
    const path = folder.join('token');
    const { stdout } = await server.run(['jwt', 'mint', ...flags, '-write', path]);
    expect(stdout).toBe(`JWT-SVID written to ${path}\n`);
    expect(await readFile(path, 'utf8')).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  test('prints JSON', async () => {
    const { json } = await server.runJson(['jwt', 'mint', ...flags]);
    expect(json.svid).toMatchObject({ id: { trust_domain: 'example.org', path: '/minted' }, hint: '' });
  });

  test('wants an audience', async () => {
    const { code, stderr } = await server.run(['jwt', 'mint', '-spiffeID', 'spiffe://example.org/x']);
    expect({ code, stderr }).toEqual({ code: 1, stderr: 'Error: give one -audience at least\n' });
  });
});

describe('the socket', () => {
  const health = ['server', 'healthcheck'];

  test('is the one of -socketPath', async () => {
    expect(await server.run(['healthcheck'])).toEqual({ code: 0, stdout: 'Server is healthy.\n', stderr: '' });
  });

  test('is the one of the variable', async () => {
    const env = { SPIRE_SERVER_PRIVATE_SOCKET: server.socketPath };
    const { code, stdout } = await runCli([...health, '-verbose'], { env });
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: `Checking server health at ${server.socketPath}...\nServer is healthy.\n`,
    });
  });

  test('is the one of the instance', async () => {
    const env = { SPIRE_SERVER_PRIVATE_SOCKET_TEMPLATE: `${folder.path}/%i.sock` };
    expect((await runCli([...health, '-instance', 'admin'], { env })).code).toBe(0);
  });

  const rejected = [
    [
      'nobody answers there',
      ['-socketPath', '/nonexistent/x.sock'],
      {},
      'cannot reach the server at /nonexistent/x.sock: there is no such socket; start it',
    ],
    [
      'an instance has no template',
      ['-instance', 'a'],
      {},
      '-instance needs the variable SPIRE_SERVER_PRIVATE_SOCKET_TEMPLATE',
    ],
    [
      'the template has no place for it',
      ['-instance', 'a'],
      { SPIRE_SERVER_PRIVATE_SOCKET_TEMPLATE: '/x' },
      'has no %i',
    ],
  ] as const;
  test.each(rejected)('is refused where %s', async (_what, flags, env, message) => {
    for (const command of [health, ['server', 'entry', 'count']]) {
      const { code, stdout, stderr } = await runCli([...command, ...flags], { env });
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toMatch(/^Error: .*\n$/);
      expect(stderr).toContain(message);
    }
  });
});
