import { constants, createPublicKey, hash, verify } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { Logger, type LogRecord } from '../../../src/log/logger.ts';
import { z } from '../../../src/plugin-sdk/index.ts';
import { findServerIdentifier } from '../../../src/plugins/hashicorp-vault/server-identifier.ts';
import { Transit } from '../../../src/plugins/hashicorp-vault/transit.ts';
import { VaultKeys } from '../../../src/plugins/hashicorp-vault/vault-keys.ts';
import { toVaultSettings, vaultFields } from '../../../src/plugins/vault-client/config.ts';
import { VaultSession } from '../../../src/plugins/vault-client/vault-session.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../harness/temporary-folder.ts';
import { refusal } from './imitated-engines.ts';
import { ImitatedVault, SECRETS } from './imitated-vault.ts';

const SERVER = '5f7a1c46-0d0e-4bd5-9d43-5a4a3b3d5b10';
const SOON = { timeout: 20_000, interval: 20 };
const resources = new AsyncDisposableStack();
const fields = z.strictObject(vaultFields);
let folder: TemporaryFolder;
let vault: ImitatedVault;

beforeAll(async () => {
  folder = resources.use(await createTemporaryFolder());
  vault = resources.use(await ImitatedVault.start());
});
afterEach(() => {
  vault.override = undefined;
  vault.lease = { seconds: 3600, isRenewable: true };
  vault.transit.keys.clear();
});
afterAll(() => resources.disposeAsync());

const byAppRole = { approle_auth: { approle_id: SECRETS.roleId, approle_secret_id: SECRETS.secretId } };

async function openSession(stack: DisposableStack, config: object = byAppRole, records: LogRecord[] = []) {
  const settings = toVaultSettings(fields.parse({ vault_addr: vault.url, ...config }), {});
  return stack.use(await VaultSession.open(settings, new Logger((record) => records.push(record), 'debug')));
}

async function openKeys(stack: DisposableStack, serverId = SERVER, records: LogRecord[] = []) {
  const session = await openSession(stack, byAppRole, records);
  const log = new Logger((record) => records.push(record), 'debug');
  return stack.use(await VaultKeys.open({ transit: new Transit(session, 'transit'), serverId, log }));
}

describe('keys in a transit engine', () => {
  test.each([
    ['ec-p256', 'sha256', undefined],
    ['ec-p256', 'sha512-256', undefined],
    ['ec-p384', 'sha384', undefined],
    ['rsa-2048', 'sha256', undefined],
    ['rsa-2048', 'sha512', -1],
    ['rsa-2048', 'sha256', 0],
    ['rsa-2048', 'sha256', 20],
  ] as const)('of type %s sign a digest of %s (salt %s)', async (type, name, saltLength) => {
    using stack = new DisposableStack();
    const keys = await openKeys(stack);
    const made = await keys.generate('x509-CA-A', type);
    expect(made).toMatchObject({ id: 'x509-CA-A', type });
    expect(keys.find('x509-CA-A')).toEqual(made);
    const options = saltLength === undefined ? { scheme: 'default' as const } : { scheme: 'pss' as const, saltLength };
    const digest = hash(name, 'a certificate', 'buffer');
    const { signature, fingerprint } = await keys.sign('x509-CA-A', digest, { ...options, hash: name });
    expect(fingerprint).toBe(made.fingerprint);
    const key = createPublicKey({ key: Buffer.from(made.publicKey), format: 'der', type: 'spki' });
    const padding =
      saltLength === undefined
        ? { key }
        : { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO };
    expect(verify(name, Buffer.from('a certificate'), padding, signature)).toBe(true);
  });

  test('are found again by the next start, those of other servers are not, and nobody touches them', async () => {
    using stack = new DisposableStack();
    const first = await openKeys(stack);
    const made = await first.generate('JWT-Signer-B', 'ec-p256');
    const other = await openKeys(stack, 'another-server');
    const theirs = await other.generate('JWT-Signer-B', 'ec-p256');
    expect((await openKeys(stack)).list()).toEqual([made]);
    expect((await openKeys(stack, 'another-server')).list()).toEqual([theirs]);
    expect([...vault.transit.keys.keys()]).toEqual([
      expect.stringMatching(new RegExp(`^${SERVER}-[0-9a-f-]{36}-JWT-Signer-B$`)),
      expect.stringMatching(/^another-server-[0-9a-f-]{36}-JWT-Signer-B$/),
    ]);
  });

  test('that are replaced are deleted, later where the Vault does not do so at once', async () => {
    using stack = new DisposableStack();
    const records: LogRecord[] = [];
    const keys = await openKeys(stack, SERVER, records);
    await keys.generate('slot', 'ec-p256');
    const { fingerprint } = await keys.generate('slot', 'ec-p256');
    await vi.waitUntil(() => vault.transit.keys.size === 1, SOON);
    expect(keys.find('slot')?.fingerprint).toBe(fingerprint);
    vault.override = (method) => (method === 'DELETE' ? refusal(503, 'Vault is sealed') : undefined);
    await keys.generate('slot', 'ec-p256');
    await vi.waitUntil(() => JSON.stringify(records).includes('is not deleted yet'), SOON);
    vault.override = undefined;
    const next = await openKeys(stack); // a server that was killed before it could
    await vi.waitUntil(() => vault.transit.keys.size === 1, SOON);
    expect(next.find('slot')).toEqual(keys.find('slot'));
  });

  test('of nobody are not found, and hashes that a Vault does not know are refused', async () => {
    using stack = new DisposableStack();
    const keys = await openKeys(stack);
    await expect(keys.sign('none', new Uint8Array(32), { scheme: 'default', hash: 'sha256' })).rejects.toThrow(
      'no such key "none"',
    );
    await keys.generate('r', 'rsa-2048');
    await expect(keys.sign('r', new Uint8Array(32), { scheme: 'default', hash: 'sha512-256' })).rejects.toThrow(
      'Vault does not sign with the hash sha512-256',
    );
    await keys.generate('k', 'ec-p256');
    await expect(keys.sign('k', new Uint8Array(32), { scheme: 'pss', hash: 'sha256', saltLength: -1 })).rejects.toThrow(
      'does not sign with RSASSA-PSS',
    );
  });
});

describe('who the plugin is', () => {
  test.each([
    ['a token', { token_auth: { token: SECRETS.token } }],
    ['AppRole', byAppRole],
    ['Kubernetes', { k8s_auth: { k8s_auth_role_name: 'server', token_path: 'FOLDER/token' } }],
  ])('is shown by %s', async (_how, config) => {
    using stack = new DisposableStack();
    await writeFile(folder.join('token'), `${SECRETS.serviceAccount}\n`);
    const text = JSON.stringify(config).replace('FOLDER', folder.path);
    const session = await openSession(stack, JSON.parse(text));
    expect(await session.request({ method: 'LIST', path: 'transit/keys' })).toBeUndefined();
  });

  test('is shown by a client certificate, to the Vault that the CA vouches for', async () => {
    using stack = new DisposableStack();
    await using secure = await ImitatedVault.start({ isSecure: true });
    const credential = await secure.authority.issueLeaf({ dnsNames: ['server.example'] });
    const files = await secure.authority.writeCredential(credential);
    const certAuth = {
      cert_auth_role_name: 'servers',
      client_cert_path: files.certificatePath,
      client_key_path: files.keyPath,
    };
    const config = { vault_addr: secure.url, cert_auth: certAuth };
    const trusting = { ...config, ca_cert_path: await secure.authority.writeCertificate() };
    const session = await openSession(stack, trusting);
    expect(await session.request({ method: 'LIST', path: 'transit/keys' })).toBeUndefined();
    const suspicious = await openSession(stack, config);
    await expect(suspicious.request({ method: 'LIST', path: 'transit/keys' })).rejects.toThrow(
      /the Vault at localhost:\d+: (?:self-signed certificate|unable to)/,
    );
    const records: LogRecord[] = [];
    const careless = await openSession(stack, { ...config, insecure_skip_verify: true }, records);
    await careless.request({ method: 'LIST', path: 'transit/keys' });
    expect(JSON.stringify(records)).toContain('insecure_skip_verify: whoever answers');
  });

  test('is renewed before it ends, and shown anew once that is refused', async () => {
    using stack = new DisposableStack();
    vault.lease = { seconds: 3, isRenewable: true };
    const session = await openSession(stack);
    await session.request({ method: 'LIST', path: 'transit/keys' });
    const logIns = () => vault.asked.filter((asked) => asked === 'POST auth/approle/login').length;
    const before = logIns();
    const renewals = () => vault.asked.filter((asked) => asked === 'POST auth/token/renew-self').length;
    const renewed = renewals();
    await vi.waitUntil(() => renewals() > renewed, SOON);
    expect(logIns()).toBe(before);
    vault.tokens.clear(); // as by an operator
    vault.lease = { seconds: 3600, isRenewable: false };
    await session.request({ method: 'LIST', path: 'transit/keys' });
    expect(logIns()).toBe(before + 1);
  });

  test('is shown once for many requests at once', async () => {
    using stack = new DisposableStack();
    const session = await openSession(stack);
    const from = vault.asked.length;
    await Promise.all(Array.from({ length: 20 }, () => session.request({ method: 'LIST', path: 'transit/keys' })));
    expect(vault.asked.slice(from).filter((asked) => asked.endsWith('/login'))).toHaveLength(1);
  });
});

describe('a Vault that does not do what it is asked', () => {
  const list = { method: 'LIST', path: 'transit/keys' } as const;
  const outcomes = [
    [
      'sealed',
      () => refusal(503, 'Vault is sealed'),
      'UNAVAILABLE',
      /answered 503 to LIST transit\/keys: Vault is sealed$/,
    ],
    ['forbidding', () => refusal(403, 'permission denied'), 'PERMISSION_DENIED', /answered 403 .*permission denied/],
    ['without the engine', () => refusal(400, 'no handler'), 'FAILED_PRECONDITION', /answered 400 .*no handler/],
    [
      'a standby',
      () => ({ status: 307, headers: { Location: 'http://evil' } }),
      'FAILED_PRECONDITION',
      /redirects are not followed/,
    ],
    ['talkative', () => ({ status: 200, body: { data: 'x'.repeat(1 << 20) } }), 'TOO_LARGE', /more than 1048576 bytes/],
    ['of long errors', () => refusal(400, 'y'.repeat(1000)), 'FAILED_PRECONDITION', /: y{300}$/],
    ['not a Vault', () => ({ status: 200 }), 'FAILED_PRECONDITION', /answered 200 to LIST/],
  ] as const;

  test.each(outcomes)('%s', async (_what, answer, code, message) => {
    using stack = new DisposableStack();
    const session = await openSession(stack);
    vault.override = (method) => (method === 'LIST' ? answer() : undefined);
    await expect(session.request(list)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  test('that is away, or says nothing', async () => {
    using stack = new DisposableStack();
    const away = await openSession(stack, { ...byAppRole, vault_addr: 'http://127.0.0.1:1' });
    await expect(away.request(list)).rejects.toThrow(/^the Vault at 127\.0\.0\.1:1: .*ECONNREFUSED/);
    const session = await openSession(stack);
    vault.override = () => 'silence';
    await expect(session.request(list, AbortSignal.timeout(50))).rejects.toMatchObject({ code: 'CANCELLED' });
  });

  test.each([
    [
      'a key of another type',
      { type: 'aes256-gcm96', latest_version: 1, keys: { 1: {} } },
      /its type is "aes256-gcm96"/,
    ],
    ['no public key', { type: 'ecdsa-p256', latest_version: 1, keys: { 1: {} } }, /its public key is not shown/],
    ['no version', { type: 'ecdsa-p256', keys: {} }, /it has no version/],
    [
      'a public key that is none',
      {
        type: 'ecdsa-p256',
        latest_version: 1,
        keys: { 1: { public_key: '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----' } },
      },
      /something odd for the key/,
    ],
  ])('%s is no key of a server', async (_what, data, message) => {
    using stack = new DisposableStack();
    const keys = await openKeys(stack);
    vault.override = (method) => (method === 'GET' ? { status: 200, body: { data } } : undefined);
    await expect(keys.generate('k', 'ec-p256')).rejects.toThrow(message);
    expect(keys.list()).toEqual([]);
  });

  test('a signature of another version of the key is not passed on', async () => {
    using stack = new DisposableStack();
    const keys = await openKeys(stack);
    await keys.generate('k', 'ec-p256');
    vault.override = (_method, path) =>
      path.includes('/sign/') ? { status: 200, body: { data: { signature: 'vault:v2:AAAA' } } } : undefined;
    await expect(keys.sign('k', new Uint8Array(32), { scheme: 'default', hash: 'sha256' })).rejects.toThrow(
      /something odd for a signature of/,
    );
  });
});

describe('the configuration', () => {
  const settingsOf = (config: object, env = {}) => toVaultSettings(fields.parse(config), env);

  test('has variables before it, as SPIRE has it', () => {
    const env = { VAULT_ADDR: 'https://v:8200/', VAULT_TOKEN: 't', VAULT_NAMESPACE: 'n', VAULT_CACERT: '/ca' };
    expect(settingsOf({ vault_addr: 'http://other', token_auth: {} }, env)).toMatchObject({
      address: new URL('https://v:8200/'),
      namespace: 'n',
      caCertPath: '/ca',
      login: { method: 'token', token: 't' },
    });
  });

  test.each([
    [{ token_auth: { token: 't' } }, /vault_addr is missing, and so is the environment variable VAULT_ADDR/],
    [{ vault_addr: 'vault:8200', token_auth: { token: 't' } }, /has to be a URL such as/],
    [{ vault_addr: 'https://u:p@v', token_auth: { token: 't' } }, /has to be a URL such as/],
    [{ vault_addr: 'https://v' }, /exactly one of the blocks token_auth, cert_auth/],
    [{ vault_addr: 'https://v', token_auth: { token: 't' }, ...byAppRole }, /exactly one of the blocks/],
    [{ vault_addr: 'https://v', token_auth: {} }, /token_auth\.token is missing.*VAULT_TOKEN/],
    [{ vault_addr: 'https://v', approle_auth: {} }, /approle_id is missing.*VAULT_APPROLE_ID/],
    [
      { vault_addr: 'https://v', cert_auth: { client_cert_path: '/c' } },
      /client_key_path is missing.*VAULT_CLIENT_KEY/,
    ],
    [{ vault_addr: 'https://v', approle_auth: { approle_auth_mount_point: '../sys' } }, /is not a path of a Vault/],
    [{ vault_addr: 'https://v', k8s_auth: { token_path: '/t' } }, /k8s_auth_role_name|Invalid input/],
  ])('%j is refused', (config, message) => {
    expect(() => settingsOf(config)).toThrow(message);
  });

  test('files that cannot be used are refused without their content', async () => {
    await writeFile(folder.join('secret.pem'), 'hunter2');
    const opened = VaultSession.open(
      settingsOf({ vault_addr: 'https://v', token_auth: { token: 't' }, ca_cert_path: folder.join('none.pem') }),
      new Logger(() => {}),
    );
    await expect(opened).rejects.toThrow(/ca_cert_path: ".*none\.pem" cannot be read: ENOENT/);
    const key = { client_cert_path: folder.join('secret.pem'), client_key_path: folder.join('secret.pem') };
    const wrong = VaultSession.open(settingsOf({ vault_addr: 'https://v', cert_auth: key }), new Logger(() => {}));
    await expect(wrong).rejects.toThrow(/^the certificates for the Vault cannot be used: (?!.*hunter2)/);
  });

  test('a server is told from others by a file, which is made once', async () => {
    const path = folder.join('identifier');
    const made = await findServerIdentifier(path);
    expect(made).toMatch(/^[0-9a-f-]{36}$/);
    expect(readFileSync(path, 'utf8')).toBe(made);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await findServerIdentifier(path)).toBe(made);
    await writeFile(path, 'something else');
    await expect(findServerIdentifier(path)).rejects.toThrow(/holds no UUID: put back the file/);
    await rm(path);
  });
});
