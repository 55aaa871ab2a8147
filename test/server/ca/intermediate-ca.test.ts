import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Logger } from '../../../src/log/logger.ts';
import type { BundleKeeper } from '../../../src/server/bundle-keeper.ts';
import type { CaAnchor } from '../../../src/server/ca/ca-anchor.ts';
import { IntermediateCa } from '../../../src/server/ca/intermediate-ca.ts';
import { emptyBundle } from '../../../src/spiffe/bundle.ts';
import { parseSpiffeId } from '../../../src/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../../src/spiffe/trust-domain.ts';
import { isTrustedX509Svid, isValidX509Svid } from '../../../src/spiffe/trusted-svid.ts';
import { issueCaCertificate } from '../../../src/x509/ca-template.ts';
import { parseCertificate } from '../../../src/x509/certificate.ts';
import { encodePem } from '../../../src/x509/pem.ts';
import { randomSerialNumber } from '../../../src/x509/serial-number.ts';
import { type KeyType, signerOfKeyObject } from '../../../src/x509/signer.ts';
import { keyTypeOfSpki } from '../../../src/x509/spki.ts';
import { TestProcess } from '../../harness/child-process.ts';
import { buildGo } from '../../harness/go.ts';
import { describeWithGo } from '../../harness/requires.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../harness/temporary-folder.ts';
import { OpenSslFolder } from '../../x509/openssl.ts';
import { Authorities, type AuthoritiesOptions, LastingKeys } from './authorities.ts';

const HOUR = 3600;
const SPIFFE_ID = parseSpiffeId('spiffe://example.org/web');
const KEY_TYPES: readonly KeyType[] = ['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-4096'];
const MODES = [
  ['key_manager', undefined],
  ['intermediate', 8 * HOUR],
] as const;
let folder: TemporaryFolder;
let now: Date;
let keys: CountingKeys;

/** A key manager that outlives the server, and counts its signatures. */
class CountingKeys extends LastingKeys {
  signatures = 0;
  isAway = false;

  override async findKey(id: string) {
    const key = await super.findKey(id);
    return (
      key && {
        ...key,
        signMessage: async (message: Uint8Array, hash: 'sha256' | 'sha384' | 'sha512') => {
          if (this.isAway) throw new Error('the key manager is away');
          this.signatures += 1;
          return (await key.signMessage?.(message, hash)) ?? expect.unreachable();
        },
      }
    );
  }
}

beforeEach(async () => {
  folder = await createTemporaryFolder();
  now = new Date();
  keys = new CountingKeys();
});
afterEach(() => folder[Symbol.asyncDispose]());

const open = (options: Partial<AuthoritiesOptions> = {}) =>
  Authorities.open({ folder: folder.path, clock: () => now, keys, intermediateTtlSeconds: 8 * HOUR, ...options });
const pass = (seconds: number) => {
  now = new Date(now.getTime() + seconds * 1000);
};
const newPublicKey = () =>
  new Uint8Array(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'der' }));
const issueX509 = ({ issuer }: Authorities, ttlSeconds = HOUR) =>
  issuer.issueX509({ spiffeId: SPIFFE_ID, publicKey: newPublicKey(), dnsNames: [], ttlSeconds });
const issueJwt = ({ issuer }: Authorities) =>
  issuer.issueJwt({ spiffeId: SPIFFE_ID, audience: ['a'], ttlSeconds: HOUR, includeJti: false });
const base64 = (der: Uint8Array) => Buffer.from(der).toString('base64');

describe('an intermediate CA', () => {
  test('signs below the CA, and nothing below it but SVIDs', async () => {
    await using ca = await open();
    const { chain } = await issueX509(ca);
    expect(chain).toHaveLength(2);
    const [svid, intermediate] = chain.map(parseCertificate);
    const root = ca.manager.x509Ca.certificate;
    expect(intermediate).toMatchObject({ isCa: true, pathLength: 0, uriNames: ['spiffe://example.org'] });
    expect(intermediate?.authorityKeyId).toEqual(root.subjectKeyId);
    expect(svid?.authorityKeyId).toEqual(intermediate?.subjectKeyId);
    expect([intermediate?.serialNumber.length, svid?.serialNumber.length]).toEqual([20, 20]);
    expect(ca.bundle.current.x509Authorities.map(({ certificate }) => certificate)).toEqual([root.der]);
  });

  test('spares the key manager: one signature for it, however many SVIDs', async () => {
    await using ca = await open();
    const before = keys.signatures;
    for (let count = 0; count < 20; count += 1) await issueX509(ca);
    for (let count = 0; count < 20; count += 1) await issueJwt(ca);
    expect(keys.signatures).toBe(before);
    keys.isAway = true;
    await issueX509(ca);
  });

  test('is renewed at half of its life; while the key manager is away the one before goes on to its end', async () => {
    await using ca = await open();
    const intermediateOf = async () => (await issueX509(ca)).chain[1];
    const first = await intermediateOf();
    pass(4 * HOUR - 1);
    await ca.manager.rotate();
    expect(await intermediateOf()).toEqual(first);
    pass(1);
    keys.isAway = true;
    await expect(ca.manager.rotate()).rejects.toThrow('the key manager is away');
    expect(await intermediateOf()).toEqual(first);
    keys.isAway = false;
    await ca.manager.rotate();
    const second = await intermediateOf();
    expect(second).not.toEqual(first);
    keys.isAway = true;
    pass(8 * HOUR);
    await expect(issueX509(ca)).rejects.toThrow('the server has no intermediate CA that is valid now');
    await expect(ca.manager.rotate()).rejects.toThrow('the key manager is away');
    await issueJwt(ca); // the key manager has no part in it
  });

  test('ends no later than the CA, and what it signs no later than it', async () => {
    await using ca = await open({ ttlSeconds: 6 * HOUR });
    const { chain, expiresAt } = await issueX509(ca, 10 * HOUR);
    expect(chain.map((der) => parseCertificate(der).notAfter.getTime() / 1000)).toEqual([expiresAt, expiresAt]);
    expect(expiresAt).toBe(ca.manager.x509Ca.notAfter);
  });

  test('is another one with each CA that takes over; what it signed falls with the CA', async () => {
    await using ca = await open();
    const line = ca.manager.x509Authorities;
    const old = line.states.active.authorityId;
    const { chain } = await issueX509(ca);
    const trust = () => [
      isTrustedX509Svid(chain, ca.bundle.current, now),
      isValidX509Svid(chain, ca.bundle.current, now),
    ];
    await line.activate((await line.prepare()).authorityId);
    const [, intermediate] = (await issueX509(ca)).chain;
    expect(intermediate).not.toEqual(chain[1]);
    expect(trust()).toEqual([true, true]);
    await line.taint(old);
    expect(trust()).toEqual([false, true]);
    await line.revoke(old);
    expect(trust()).toEqual([false, false]);
    expect(isTrustedX509Svid((await issueX509(ca)).chain, ca.bundle.current, now)).toBe(true);
  });

  test('is another one also where a PKI above gives two CAs the same ID', async () => {
    const trustDomain = parseTrustDomain('example.org');
    const notAfter = Math.floor(now.getTime() / 1000) + 24 * HOUR;
    const times = { notBefore: now, notAfter: new Date(notAfter * 1000), trustDomain };
    const parents = await Promise.all(
      [1, 2].map(async () => {
        const signer = signerOfKeyObject(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
        const serialNumber = randomSerialNumber();
        const certificate = parseCertificate(
          await issueCaCertificate({ issuer: 'self', signer, serialNumber, ...times }),
        );
        return { signer, certificate, intermediates: [], authorityId: 'ab', notAfter };
      }),
    );
    const x509Authorities = parents.map(({ certificate }) => ({ certificate: certificate.der, tainted: false }));
    const current = { ...emptyBundle(trustDomain), x509Authorities };
    const intermediates = new IntermediateCa({
      trustDomain,
      keyType: 'ec-p256',
      ttlSeconds: HOUR,
      subject: { organization: 'Test' },
      bundle: { current },
      log: new Logger(() => {}, 'error'),
      clock: () => now,
    });
    for (const parent of parents) {
      await intermediates.prepare(parent);
      const below = intermediates.below(parent).certificate;
      expect(below.authorityKeyId).toEqual(parent.certificate.subjectKeyId);
    }
  });

  test('that cannot be made keeps the CA below which there is one', async () => {
    await using ca = await open();
    const line = ca.manager.x509Authorities;
    const active = line.states.active.authorityId;
    const { authorityId } = await line.prepare();
    keys.isAway = true;
    await expect(line.activate(authorityId)).rejects.toThrow('the key manager is away');
    expect(line.states).toMatchObject({ active: { authorityId: active }, prepared: { authorityId } });
    await issueX509(ca);
    keys.isAway = false;
    await line.activate(authorityId);
  });

  test('is new after a restart, as are JWT keys: what was signed before goes on being valid', async () => {
    const before = await (async () => {
      await using ca = await open();
      return { ...(await issueX509(ca)), ids: ca.ids };
    })();
    await using ca = await open();
    expect(ca.ids[0]).toBe(before.ids[0]); // the CA's key is in the key manager
    expect(ca.ids[1]).not.toBe(before.ids[1]);
    expect(ca.bundle.current.jwtAuthorities.map(({ keyId }) => keyId)).toEqual([before.ids[1], ca.ids[1]]);
    expect(isTrustedX509Svid(before.chain, ca.bundle.current, now)).toBe(true);
    await ca.manager.jwtAuthorities.taint(before.ids[1] ?? '');
    await ca.manager.jwtAuthorities.revoke(before.ids[1] ?? '');
  });

  test('is refused below a CA that may have none below it', async () => {
    const root = signerOfKeyObject(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
    const notAfter = new Date(Math.floor(now.getTime() / 1000 + 24 * HOUR) * 1000);
    const times = { notBefore: now, notAfter, trustDomain: 'example.org' };
    const rootCertificate = await issueCaCertificate({
      issuer: 'self',
      signer: root,
      serialNumber: randomSerialNumber(),
      ...times,
    });
    const anchor = (bundle: BundleKeeper): CaAnchor => ({
      hasUpstream: true,
      async certify(signer) {
        const certificate = await issueCaCertificate({
          issuer: { signer: root, certificate: parseCertificate(rootCertificate) },
          subjectPublicKeyInfo: signer.publicKey,
          pathLength: 0,
          serialNumber: randomSerialNumber(),
          ...times,
        });
        await bundle.append({ x509: [{ certificate: rootCertificate, tainted: false }] });
        return { chain: [certificate], upstreamAuthorityId: 'ab', notAfter: times.notAfter.getTime() / 1000 };
      },
      publishJwtAuthority: (authority) => bundle.append({ jwt: [authority] }),
    });
    await expect(open({ anchor })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining(
        'nothing that an intermediate CA signs would verify, set ca_signing = "key_manager"',
      ),
    });
    await using ca = await Authorities.open({ folder: folder.path, clock: () => now, keys, anchor });
    expect((await issueX509(ca)).chain).toHaveLength(2);
  });

  test('can be left and taken up again: the CA stays', async () => {
    const ids: string[] = [];
    for (const intermediateTtlSeconds of [undefined, 8 * HOUR, undefined]) {
      await using ca = await Authorities.open({
        folder: folder.path,
        clock: () => now,
        keys,
        ...(intermediateTtlSeconds === undefined ? {} : { intermediateTtlSeconds }),
      });
      ids.push(ca.ids[0] ?? '');
      const { chain } = await issueX509(ca);
      expect(chain).toHaveLength(intermediateTtlSeconds === undefined ? 1 : 2);
      expect(isTrustedX509Svid(chain, ca.bundle.current, now)).toBe(true);
    }
    expect(new Set(ids).size).toBe(1);
  });
});

test.each(MODES)(
  'with ca_signing = "%s" no serial number comes twice, and each has 158 bits of random',
  async (_mode, ttl) => {
    await using ca = await Authorities.open({
      folder: folder.path,
      clock: () => now,
      keys,
      ...(ttl === undefined ? {} : { intermediateTtlSeconds: ttl }),
    });
    const serials = new Set<string>();
    for (let count = 0; count < 500; count += 1) {
      const { chain } = await issueX509(ca);
      const { serialNumber } = parseCertificate(chain[0] ?? new Uint8Array());
      expect(serialNumber).toHaveLength(20);
      serials.add(Buffer.from(serialNumber).toString('hex'));
    }
    expect(serials.size).toBe(500);
  },
);

test('JWT keys are of a type of their own', async () => {
  await using ca = await open({ keyType: 'ec-p384', jwtKeyType: 'rsa-2048' });
  const { signer, certificate } = ca.manager.x509;
  const types = [ca.manager.x509Ca.signer, signer, ca.manager.jwt.signer].map(({ keyType }) => keyType);
  expect(types).toEqual(['ec-p384', 'ec-p384', 'rsa-2048']);
  expect(keyTypeOfSpki(certificate.subjectPublicKeyInfo)).toBe('ec-p384');
});

describeWithGo('strangers verify', () => {
  let verifier: TestProcess;

  beforeAll(async () => {
    const module = fileURLToPath(new URL('../../interop/workload-api', import.meta.url));
    verifier = await TestProcess.start(await buildGo(module, 'svid-verifier'), []);
  });
  afterAll(() => verifier[Symbol.asyncDispose]());

  test.each(MODES.flatMap(([mode, ttl]) => KEY_TYPES.map((keyType) => [mode, keyType, ttl] as const)))(
    'ca_signing = "%s" with %s: openssl, Node, crypto/x509 and go-spiffe',
    async (mode, keyType, ttl) => {
      await using ca = await Authorities.open({
        folder: folder.path,
        clock: () => now,
        keys,
        keyType,
        ...(ttl === undefined ? {} : { intermediateTtlSeconds: ttl }),
      });
      const { chain } = await issueX509(ca);
      const { token } = await issueJwt(ca);
      const { x509Authorities, jwtAuthorities } = ca.bundle.current;
      const roots = x509Authorities.map(({ certificate }) => certificate);

      using openssl = new OpenSslFolder();
      const pem = (certificates: readonly Uint8Array[]) =>
        certificates.map((der) => encodePem('CERTIFICATE', der)).join('');
      openssl.write('roots.pem', pem(roots));
      openssl.write('chain.pem', pem(chain));
      const flags = ['-x509_strict', '-purpose', 'sslserver', '-CAfile', 'roots.pem', '-untrusted', 'chain.pem'];
      expect(openssl.run('verify', ...flags, 'chain.pem')).toBe('chain.pem: OK\n');

      const certificates = [...chain, ...roots].map((der) => new X509Certificate(der));
      for (const [index, issuer] of certificates.slice(1).entries()) {
        const certificate = certificates[index];
        expect([certificate?.checkIssued(issuer), certificate?.verify(issuer.publicKey)]).toEqual([true, true]);
      }

      verifier.writeLine(
        JSON.stringify({
          trustDomain: 'example.org',
          roots: roots.map(base64),
          keys: Object.fromEntries(jwtAuthorities.map(({ keyId, publicKey }) => [keyId, base64(publicKey)])),
          chain: chain.map(base64),
          token,
          audience: 'a',
        }),
      );
      expect(JSON.parse((await verifier.readLine()) ?? '')).toEqual({
        x509Id: SPIFFE_ID,
        path: mode === 'intermediate' ? 3 : 2,
        jwtId: SPIFFE_ID,
      });
    },
  );
});
