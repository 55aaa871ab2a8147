import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BundleDefinition } from '../../src/gen/spire/api/server/bundle/v1/bundle.ts';
import { EntryDefinition } from '../../src/gen/spire/api/server/entry/v1/entry.ts';
import { SVIDDefinition } from '../../src/gen/spire/api/server/svid/v1/svid.ts';
import { Entry, JWTKey } from '../../src/gen/spire/api/types/types.ts';
import { Status } from '../../src/spiffe/status.ts';
import { type Certificate, parseCertificate } from '../../src/x509/certificate.ts';
import { verifyChain } from '../../src/x509/chain.ts';
import { formatName } from '../../src/x509/name.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { signerOfKeyObject } from '../../src/x509/signer.ts';
import { issueX509Svid } from '../../src/x509/svid-template.ts';
import { TestServer } from '../harness/running-server.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { OpenSslFolder } from '../x509/openssl.ts';
import { apiId, mintedCaller, newCsr, type TlsCaller } from './callers.ts';

const resources = new AsyncDisposableStack();
let server: TestServer;
let below: TlsCaller;
let belowForShort: TlsCaller;

beforeAll(async () => {
  const folder = resources.use(await createTemporaryFolder());
  server = resources.use(
    await TestServer.start({
      folder: folder.path,
      settings: 'ca_ttl = "48h"\n  ca_subject { country = ["DE"] organization = ["Example"] common_name = "Above" }',
    }),
  );
  const entry = (path: string, x509SvidTtl = 0) =>
    Entry.fromPartial({
      spiffeId: apiId(path),
      parentId: apiId('/node'),
      selectors: [{ type: 'unix', value: 'uid:0' }],
      downstream: true,
      x509SvidTtl,
    });
  await server.admin(EntryDefinition).batchCreateEntry({
    entries: [entry('/below'), entry('/below-for-short', 600)],
    outputMask: undefined,
  });
  below = resources.use(await mintedCaller(server, '/below'));
  belowForShort = resources.use(await mintedCaller(server, '/below-for-short'));
});
afterAll(() => resources.disposeAsync());

async function newCa(caller = below, preferredTtl = 0) {
  const { csr, privateKey } = await newCsr({ uriNames: ['spiffe://example.org'] });
  const { caCertChain, x509Authorities } = await caller
    .client(SVIDDefinition)
    .newDownstreamX509CA({ csr, preferredTtl });
  const [certificate, ...intermediates] = caCertChain.map(parseCertificate);
  if (certificate === undefined) throw new Error('no certificate was answered');
  return { certificate, intermediates, roots: x509Authorities, signer: signerOfKeyObject(privateKey) };
}

const secondsLeft = ({ notAfter }: Certificate) => notAfter.getTime() / 1000 - Date.now() / 1000;

describe('NewDownstreamX509CA', () => {
  test('signs a CA of the trust domain, whose SVIDs openssl verifies by the bundle alone', async () => {
    const { certificate, intermediates, roots, signer } = await newCa();
    expect(certificate).toMatchObject({ isCa: true, uriNames: ['spiffe://example.org'] });
    expect(formatName(certificate.subject)).toMatch(/^SERIALNUMBER=\d+,CN=Above,OU=DOWNSTREAM-1,O=Example,C=DE$/);
    expect(roots).toEqual(server.running.bundle.x509Authorities.map(({ certificate: one }) => Buffer.from(one)));
    const svid = await issueX509Svid({
      issuer: { signer, certificate },
      subjectPublicKeyInfo: signerOfKeyObject(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey).publicKey,
      spiffeId: 'spiffe://example.org/workload',
      dnsNames: [],
      serialNumber: Buffer.alloc(16, 1),
      notBefore: new Date(Date.now() - 1000),
      notAfter: new Date(Date.now() + 60_000),
    });
    const options = { intermediates: [certificate, ...intermediates], roots: roots.map(parseCertificate) };
    expect(verifyChain({ leaf: parseCertificate(svid), ...options, now: new Date() })).toHaveLength(3);
    using folder = new OpenSslFolder();
    const pem = (name: string, ...ders: readonly Uint8Array[]) => {
      writeFileSync(`${folder.path}/${name}`, ders.map((der) => encodePem('CERTIFICATE', der)).join(''));
      return name;
    };
    const untrusted = ['-untrusted', pem('chain.pem', certificate.der)];
    const roles = ['-purpose', 'sslserver', '-x509_strict', '-CAfile', pem('roots.pem', ...roots)];
    expect(folder.run('verify', ...roles, ...untrusted, pem('svid.pem', svid))).toMatch(/OK/);
  });

  test.each([
    ['the time of ca_ttl where nobody says', () => below, 0, 48 * 3600],
    ['the time that the server below would like', () => below, 900, 900],
    ['no longer than the CA that signs', () => below, 2 ** 31 - 1, 48 * 3600],
    ['the time of the entry, whatever the server below would like', () => belowForShort, 900, 600],
  ])('it is valid for %s', async (_what, caller, preferredTtl, seconds) => {
    const { certificate } = await newCa(caller(), preferredTtl);
    expect(Math.abs(secondsLeft(certificate) - seconds)).toBeLessThan(60);
  });

  test('of two CAs each has its own name', async () => {
    const [one, other] = [await newCa(), await newCa()];
    expect(Buffer.from(one.certificate.subject)).not.toEqual(Buffer.from(other.certificate.subject));
  });

  test.each([
    ['no CSR', new Uint8Array(), 0, /missing CSR/],
    ['a CSR that is none', Buffer.from('csr'), 0, /the CSR cannot be used/],
    ['an oversized CSR', Buffer.alloc(40_000, 0x30), 0, /more than 32768/],
    ['a negative TTL', undefined, -1, /preferred TTL -1 is negative/],
  ] as const)('%s is refused', async (_what, given, preferredTtl, message) => {
    const csr = given ?? (await newCsr()).csr;
    await expect(below.client(SVIDDefinition).newDownstreamX509CA({ csr, preferredTtl })).rejects.toMatchObject({
      status: Status.InvalidArgument,
      message: expect.stringMatching(message),
    });
  });
});

const later = BigInt(Math.floor(Date.now() / 1000) + 3600);
const publicKey = () =>
  new Uint8Array(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'der' }));

describe('PublishJWTAuthority', () => {
  const publish = (key: Partial<JWTKey> | undefined) =>
    below.client(BundleDefinition).publishJWTAuthority({ jwtAuthority: key && JWTKey.fromPartial(key) });

  test('makes a key known to everybody, and answers all keys; once more changes nothing', async () => {
    const key = { keyId: 'from-below', publicKey: publicKey(), expiresAt: later };
    const before = server.running.bundle.jwtAuthorities;
    const { jwtAuthorities } = await publish({ ...key, tainted: true });
    expect(jwtAuthorities.map(({ keyId }) => keyId)).toEqual([...before.map(({ keyId }) => keyId), 'from-below']);
    expect(jwtAuthorities.at(-1)).toMatchObject({ expiresAt: later, tainted: false });
    const { sequenceNumber } = server.running.bundle;
    expect((await publish(key)).jwtAuthorities).toHaveLength(before.length + 1);
    expect(server.running.bundle.sequenceNumber).toBe(sequenceNumber);
  });

  test('a key does not take the place of another with its ID', async () => {
    const [own] = server.running.bundle.jwtAuthorities;
    await expect(publish({ keyId: own?.keyId ?? '', publicKey: publicKey(), expiresAt: later })).rejects.toMatchObject({
      status: Status.AlreadyExists,
    });
  });

  test('the hundred-and-first of one caller is refused', async () => {
    const publishMany = (prefix: string) =>
      Promise.allSettled(
        Array.from({ length: 100 }, (_, index) =>
          publish({ keyId: `${prefix}-${index}`, publicKey: publicKey(), expiresAt: later }),
        ),
      );
    const before = server.running.bundle.jwtAuthorities.length;
    await publishMany('first');
    expect(server.running.bundle.jwtAuthorities.length).toBeGreaterThan(before);
    const outcomes = await publishMany('second');
    expect(outcomes.at(-1)).toMatchObject({
      reason: {
        status: Status.ResourceExhausted,
        message: expect.stringMatching(/has made 100 JWT authorities known that are still valid/),
      },
    });
    expect(server.running.bundle.jwtAuthorities.length).toBeLessThanOrEqual(before + 100);
  });

  const rsa = (modulusLength: number) =>
    new Uint8Array(generateKeyPairSync('rsa', { modulusLength }).publicKey.export({ type: 'spki', format: 'der' }));
  test.each([
    ['no key at all', undefined, /missing JWT authority/],
    ['no key ID', { publicKey: publicKey(), expiresAt: later }, /missing key ID/],
    ['a key ID that is too long', { keyId: 'x'.repeat(1025), publicKey: publicKey() }, /more than 1024/],
    ['an empty key', { keyId: 'a', expiresAt: later }, /invalid JWT authority/],
    ['a key that is none', { keyId: 'a', publicKey: Buffer.from('key'), expiresAt: later }, /invalid JWT authority/],
    ['a key that is too short', { keyId: 'a', publicKey: rsa(1024), expiresAt: later }, /has 1024 bits/],
    ['a key that has expired', { keyId: 'a', publicKey: publicKey(), expiresAt: 1n }, /it expired at 1/],
    ['an end that is no time', { keyId: 'a', publicKey: publicKey(), expiresAt: -1n }, /-1 is no time/],
  ] as const)('%s is refused', async (_what, key, message) => {
    await expect(publish(key)).rejects.toMatchObject({
      status: Status.InvalidArgument,
      message: expect.stringMatching(message),
    });
  });
});
