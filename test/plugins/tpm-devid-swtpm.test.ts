import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readDevidAuthority } from '../../src/cli/devid-authority.ts';
import { type DevidEnrolment, enrolDevid } from '../../src/cli/enrol-devid.ts';
import { devidAgentConfig } from '../../src/plugins/tpm-devid/agent-config.ts';
import { attestDevid } from '../../src/plugins/tpm-devid/attest.ts';
import { readDevidFiles } from '../../src/plugins/tpm-devid/devid-files.ts';
import { findTcti } from '../../src/plugins/tpm-devid/find-tpm.ts';
import { encodeDevidChallenge } from '../../src/plugins/tpm-devid/messages.ts';
import { aidDevidAttestation } from '../../src/plugins/tpm-devid/prove.ts';
import { devidServerConfig } from '../../src/plugins/tpm-devid/server-config.ts';
import { readDevidTrustStore } from '../../src/plugins/tpm-devid/trust-store.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { type Swtpm, startSwtpm } from '../../src/testing/swtpm.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../src/testing/temporary-folder.ts';
import { deniedBy } from '../harness/denied.ts';
import { makeDevidAuthorities } from '../harness/devid-authorities.ts';
import { csrKey } from './tpm-server-fixture.ts';

const CSR_KEY = csrKey();
const NO_PASSWORDS = { owner: new Uint8Array(0), devid: new Uint8Array(0) };
const PASSWORD = 'open sesame';
const YEAR_SECONDS = 365 * 24 * 3600;

let folder: TemporaryFolder;
let tpm: Swtpm;
let other: Swtpm;
/** A DevID key RSA-2048 that openssl's CA certified. */
let rsa: string;
/** One on P-256 with a password, certified by an intermediate of ours. */
let ecc: string;

const openssl = (...args: readonly string[]) =>
  execFileSync('openssl', args, { cwd: folder.path, stdio: 'pipe' }).toString();

beforeAll(async () => {
  folder = await createTemporaryFolder();
  [tpm, other] = await Promise.all([startSwtpm({ ek: ['rsa-2048', 'ec-p256'] }), startSwtpm({ ek: [] })]);
  makeDevidAuthorities(openssl, folder);
  rsa = await enrol('rsa', { commonName: 'node-1' });
  sign('rsa', 'devid.crt.pem');
  const ca = await readDevidAuthority(folder.join('chain.pem'), folder.join('int.key'));
  ecc = await enrol('ecc', {
    commonName: 'node-2',
    keyType: 'ec-p256',
    passwords: { ...NO_PASSWORDS, devid: Buffer.from(PASSWORD) },
    authority: { ca, ttlSeconds: YEAR_SECONDS },
  });
});
afterAll(async () => {
  await tpm?.[Symbol.asyncDispose]();
  await other?.[Symbol.asyncDispose]();
  await folder?.[Symbol.asyncDispose]();
});

async function enrol(name: string, options: Partial<DevidEnrolment>): Promise<string> {
  const path = folder.join(name);
  await mkdir(path, { recursive: true });
  await enrolDevid({
    tcti: tpm.tcti,
    folder: path,
    keyType: 'rsa-2048',
    sameKey: false,
    commonName: 'node',
    passwords: NO_PASSWORDS,
    ...options,
  });
  return path;
}

/** The request of a folder, signed by openssl. */
function sign(name: string, output: string, { ca = 'root', days = '10' } = {}): string {
  const issuer = ['-CA', `${ca}.pem`, '-CAkey', `${ca}.key`, '-days', days];
  openssl('x509', '-req', '-in', `${name}/devid.csr.pem`, ...issuer, '-out', `${name}/${output}`);
  return folder.join(`${name}/${output}`);
}

const pathsIn = (path: string, changes: object = {}) => ({
  devid_cert_path: join(path, 'devid.crt.pem'),
  devid_priv_path: join(path, 'devid.priv.blob'),
  devid_pub_path: join(path, 'devid.pub.blob'),
  ...changes,
});

/** The agent's half, configured as the plugin is. */
async function proverOf(settings: object, device = tpm) {
  const config = devidAgentConfig.parse({ tpm_device_path: join(device.folder, 'tpm'), ...settings });
  return { config, tcti: findTcti(config), files: await readDevidFiles(config) };
}

/** Both halves, on one TPM. */
async function attest(settings: object, { device = tpm, agentKey = CSR_KEY as Uint8Array | 'unknown' } = {}) {
  const config = devidServerConfig.parse({ devid_ca_path: folder.join('root.pem'), endorsement_ca_path: tpm.caPath });
  const agent = aidDevidAttestation(await proverOf(settings, device), agentKey === 'unknown' ? undefined : agentKey);
  const payload = await agent.next();
  if (payload.done === true) throw new Error('no payload');
  const server = attestDevid(
    payload.value,
    { config, trust: await readDevidTrustStore(config) },
    {
      trustDomain: parseTrustDomain('example.org'),
      csrPublicKey: CSR_KEY,
      now: () => new Date(),
    },
  );
  try {
    const challenge = await server.next();
    if (challenge.done === true) throw new Error('no challenge');
    const response = await agent.next(challenge.value);
    if (response.done === true) throw new Error('no response');
    const verdict = await server.next(response.value);
    if (verdict.done !== true) throw new Error('no verdict');
    return verdict.value;
  } finally {
    await agent.return();
  }
}

const fingerprintOf = (path: string, hash: 'sha1' | 'sha256') =>
  openssl('x509', '-in', path, '-noout', '-fingerprint', `-${hash}`)
    .split('=')[1]
    ?.trim()
    .replaceAll(':', '')
    .toLowerCase();

describe('a DevID key in a TPM', () => {
  test('that openssl certified is admitted, under the fingerprints that openssl prints', async () => {
    const { spiffeId, selectorValues } = await attest(pathsIn(rsa));
    expect(openssl('req', '-in', 'rsa/devid.csr.pem', '-noout', '-verify', '-subject')).toContain('CN = node-1');
    expect(spiffeId).toBe(`spiffe://example.org/spire/agent/tpm_devid/${fingerprintOf('rsa/devid.crt.pem', 'sha1')}`);
    expect(selectorValues).toEqual([
      'subject:cn:node-1',
      'issuer:cn:Acme Root',
      `ca:fingerprint:${fingerprintOf('root.pem', 'sha1')}`,
      `certificate:sha256:${fingerprintOf('rsa/devid.crt.pem', 'sha256')}`,
      expect.stringMatching(/^pub_hash:[0-9a-f]{64}$/),
      'ek:virtual',
      'manufacturer:id:00001014',
      'model:swtpm',
      'csr:bound',
    ]);
    expect(await tpm.handles('transient')).toEqual([]);
    expect(await tpm.handles('loaded-session')).toEqual([]);
  });

  test('that a CA of files certified is admitted, with a password and an ECC endorsement key', async () => {
    const { selectorValues } = await attest(pathsIn(ecc, { devid_password: PASSWORD, ek_algorithm: 'ec-p256' }));
    expect(openssl('verify', '-CAfile', 'root.pem', '-untrusted', 'int.pem', 'ecc/devid.crt.pem')).toContain('OK');
    expect(selectorValues.slice(0, 4)).toEqual([
      'subject:cn:node-2',
      'issuer:cn:Acme DevID CA',
      ...['int.pem', 'root.pem'].map((path) => `ca:fingerprint:${fingerprintOf(path, 'sha1')}`),
    ]);
    expect(selectorValues).toContain('csr:bound');
  });

  test('is admitted unbound, where the host does not tell the CSR’s key', async () => {
    expect((await attest(pathsIn(rsa), { agentKey: 'unknown' })).selectorValues).not.toContain('csr:bound');
  });

  test('refuses to be bound to another CSR key than the agent’s', async () => {
    await expect(attest(pathsIn(rsa), { agentKey: csrKey() })).rejects.toEqual(deniedBy('C20'));
  });

  test('that tpm2-tools made is admitted, though their blobs begin with a length', async () => {
    const made = folder.join('tools');
    await mkdir(made);
    const storage = 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt';
    const [priv, pub] = [join(made, 'devid.priv.blob'), join(made, 'devid.pub.blob')];
    await tpm.tools('tpm2_createprimary', '-C', 'o', '-G', 'rsa2048:aes128cfb', '-a', storage, '-c', 'srk.ctx');
    await tpm.tools('tpm2_flushcontext', '-t');
    const attributes = 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign';
    await tpm.tools(
      'tpm2_create',
      '-C',
      'srk.ctx',
      '-G',
      'rsa2048:rsassa-sha256',
      '-a',
      attributes,
      '-u',
      pub,
      '-r',
      priv,
    );
    await tpm.tools('tpm2_flushcontext', '-t');
    // "-sameKey" takes what SPIRE's tools write: without the length.
    for (const path of [priv, pub]) writeFileSync(path, readFileSync(path).subarray(2));
    await enrol('tools', { sameKey: true, commonName: 'tools' });
    sign('tools', 'devid.crt.pem');
    for (const path of [priv, pub]) {
      const content = readFileSync(path);
      writeFileSync(path, Buffer.concat([Buffer.of(content.length >> 8, content.length & 0xff), content]));
    }
    expect((await attest(pathsIn(made))).selectorValues).toContain('subject:cn:tools');
  });

  test('is admitted in a TPM whose hierarchies have passwords, and only with them', async () => {
    await tpm.tools('tpm2_changeauth', '-c', 'owner', 'boss');
    await tpm.tools('tpm2_changeauth', '-c', 'endorsement', 'maker');
    try {
      const passwords = { owner_hierarchy_password: 'boss', endorsement_hierarchy_password: 'maker' };
      expect((await attest(pathsIn(rsa, passwords))).canReattest).toBe(true);
      await expect(attest(pathsIn(rsa, { ...passwords, owner_hierarchy_password: 'x' }))).rejects.toThrow(
        /asks for the password of its owner hierarchy: correct "owner_hierarchy_password"/,
      );
      await expect(attest(pathsIn(rsa, { ...passwords, endorsement_hierarchy_password: 'x' }))).rejects.toThrow(
        /asks for the password of its endorsement hierarchy: correct "endorsement_hierarchy_password"/,
      );
    } finally {
      await tpm.tools('tpm2_changeauth', '-c', 'owner', '-p', 'boss');
      await tpm.tools('tpm2_changeauth', '-c', 'endorsement', '-p', 'maker');
    }
  });
});

describe('is refused with the reason', () => {
  test('an expired certificate, and one of a stranger', async () => {
    const expired = sign('rsa', 'expired.pem', { days: '-1' });
    await expect(attest(pathsIn(rsa, { devid_cert_path: expired }))).rejects.toThrow(/expired at .* \(check G45\)$/);
    const foreign = sign('rsa', 'foreign.pem', { ca: 'stranger' });
    await expect(attest(pathsIn(rsa, { devid_cert_path: foreign }))).rejects.toThrow(/no issuer of .* \(check G45\)$/);
  });

  test('a wrong password, and none where one is needed', async () => {
    for (const settings of [{ devid_password: 'wrong' }, {}]) {
      await expect(attest(pathsIn(ecc, settings))).rejects.toThrow(
        '"devid_password" is not the password that the DevID key was made with',
      );
    }
    expect(await tpm.handles('transient')).toEqual([]);
  });

  test('the key of another TPM', async () => {
    await expect(attest(pathsIn(rsa), { device: other })).rejects.toThrow(/this TPM does not take the DevID key/);
  });

  test('a TPM without an endorsement certificate', async () => {
    const path = await enrol('bare', { tcti: other.tcti });
    sign('bare', 'devid.crt.pem');
    await expect(attest(pathsIn(path), { device: other })).rejects.toThrow(
      /holds no certificate for its endorsement key/,
    );
  });

  test('a challenge that would have the DevID key sign more than a nonce', async () => {
    const agent = aidDevidAttestation(await proverOf(pathsIn(rsa)), CSR_KEY);
    await agent.next();
    const blob = new Uint8Array(32);
    const challenge = { devidNonce: new Uint8Array(65), credentialBlob: blob, encryptedSecret: blob };
    await expect(agent.next(encodeDevidChallenge(challenge))).rejects.toThrow(/sign 65 bytes, 16 to 64 are signed/);
  });

  const files: readonly (readonly [string, (path: string) => object, RegExp])[] = [
    [
      'a missing certificate',
      () => ({ devid_cert_path: '/nowhere.pem' }),
      /^devid_cert_path: "\/nowhere.pem" cannot be read: ENOENT$/,
    ],
    [
      'a missing blob',
      () => ({ devid_priv_path: '/nowhere' }),
      /^devid_priv_path: "\/nowhere" cannot be read: ENOENT$/,
    ],
    [
      'a key for a certificate',
      (path) => ({ devid_cert_path: write(path, readFileSync(folder.join('int.key'))) }),
      /^devid_cert_path: ".*": it holds no PEM block "CERTIFICATE"$/,
    ],
    [
      'the certificate of another key',
      () => ({ devid_cert_path: join(ecc, 'devid.crt.pem') }),
      /^devid_cert_path: .* is for another key than the one in/,
    ],
    [
      'a truncated public blob',
      (path) => ({ devid_pub_path: write(path, readFileSync(join(rsa, 'devid.pub.blob')).subarray(0, 100)) }),
      /^devid_pub_path: ".*": TPMT_PUBLIC ends at byte/,
    ],
    [
      'an oversized private blob',
      (path) => ({ devid_priv_path: write(path, Buffer.alloc(5000, 1)) }),
      /^devid_priv_path: ".*": it has 5000 bytes/,
    ],
    [
      'an empty private blob',
      (path) => ({ devid_priv_path: write(path, Buffer.alloc(0)) }),
      /^devid_priv_path: ".*": it is empty$/,
    ],
    ['blobs for each other', () => ({ devid_pub_path: join(rsa, 'devid.priv.blob') }), /^devid_pub_path: ".*": /],
    [
      'nine certificates',
      (path) => ({
        devid_cert_path: write(path, Buffer.from(readFileSync(folder.join('root.pem'), 'utf8').repeat(9))),
      }),
      /holds 9 certificates, servers read 8$/,
    ],
  ];
  test.each(files)('%s', async (what, changes, message) => {
    const settings = pathsIn(rsa, changes(folder.join(what.replaceAll(' ', '-'))));
    await expect(readDevidFiles(devidAgentConfig.parse(settings))).rejects.toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) }),
    );
  });

  test('a damaged private blob', async () => {
    const blob = readFileSync(join(rsa, 'devid.priv.blob'));
    const damaged = write(folder.join('damaged'), blob.fill(0xff, blob.length - 4));
    await expect(attest(pathsIn(rsa, { devid_priv_path: damaged }))).rejects.toThrow(
      /this TPM does not take the DevID key/,
    );
  });
});

describe('enrolment refuses', () => {
  test('to lose a key, and takes it for another certificate', async () => {
    await expect(enrol('rsa', {})).rejects.toThrow(/exists: give -sameKey for another certificate of that key/);
    const before = readFileSync(join(rsa, 'devid.pub.blob'));
    await enrol('rsa', { sameKey: true, commonName: 'renamed' });
    expect(openssl('req', '-in', 'rsa/devid.csr.pem', '-noout', '-verify', '-subject')).toContain('CN = renamed');
    expect(readFileSync(join(rsa, 'devid.pub.blob'))).toEqual(before);
  });

  test('a CA whose key is another, is encrypted, or that is none', async () => {
    const mismatched = await readDevidAuthority(folder.join('int.pem'), folder.join('root.key'));
    const authority = { ca: mismatched, ttlSeconds: 60 };
    await expect(enrol('refused', { authority })).rejects.toThrow(
      'the signing key is not the key of the issuer certificate',
    );
    const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'leaf.key'];
    const isNone = ['-subj', '/CN=Leaf', '-addext', 'basicConstraints=critical,CA:FALSE'];
    openssl('req', '-x509', ...newKey, ...isNone, '-out', 'leaf.pem');
    const leaf = await readDevidAuthority(folder.join('leaf.pem'), folder.join('leaf.key'));
    await expect(enrol('refused', { authority: { ...authority, ca: leaf } })).rejects.toThrow(
      'the issuer certificate is no CA that may sign certificates',
    );
    openssl('ec', '-in', 'root.key', '-aes128', '-passout', 'pass:x', '-out', 'encrypted.key');
    await expect(readDevidAuthority(folder.join('root.pem'), folder.join('encrypted.key'))).rejects.toThrow(
      /is encrypted: give it in clear/,
    );
    await expect(readDevidAuthority(folder.join('root.key'), folder.join('root.key'))).rejects.toThrow(
      /holds no PEM block "CERTIFICATE"/,
    );
    await expect(readDevidAuthority(folder.join('root.pem'), folder.join('root.pem'))).rejects.toThrow(
      /holds no private key/,
    );
    expect(await tpm.handles('transient')).toEqual([]);
  });

  test('what is no blob, and a folder that cannot be written', async () => {
    await mkdir(folder.join('empty'));
    await expect(enrol('empty', { sameKey: true })).rejects.toThrow(/devid.*blob" cannot be read: ENOENT/);
    writeFileSync(folder.join('empty/devid.priv.blob'), Buffer.alloc(5000));
    writeFileSync(folder.join('empty/devid.pub.blob'), Buffer.alloc(5000));
    await expect(enrol('empty', { sameKey: true })).rejects.toThrow(/has 5000 bytes: it holds no key of a TPM/);
  });
});

function write(path: string, content: Uint8Array): string {
  writeFileSync(path, content);
  return path;
}
