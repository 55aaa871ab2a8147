import { generateKeyPairSync } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Bundle } from '../../../src/spiffe/bundle.ts';
import { validateJwtSvid } from '../../../src/spiffe/jwt-svid.ts';
import { parseSpiffeId } from '../../../src/spiffe/spiffe-id.ts';
import { isTrustedX509Svid, isValidX509Svid } from '../../../src/spiffe/trusted-svid.ts';
import { parseCertificate } from '../../../src/x509/certificate.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../harness/temporary-folder.ts';
import { Authorities, type AuthoritiesOptions, LastingKeys } from './authorities.ts';

const DAY = 24 * 3600;
const SPIFFE_ID = parseSpiffeId('spiffe://example.org/web');
let folder: TemporaryFolder;
let now: Date;
let keys: LastingKeys;

beforeEach(async () => {
  folder = await createTemporaryFolder();
  now = new Date('2026-01-01T00:00:00Z');
  keys = new LastingKeys();
});
afterEach(() => folder[Symbol.asyncDispose]());

const open = (options: Partial<AuthoritiesOptions> = {}) =>
  Authorities.open({ folder: folder.path, clock: () => now, keys, ...options });
const pass = (seconds: number) => {
  now = new Date(now.getTime() + seconds * 1000);
};
const issueX509 = ({ issuer }: Authorities) => {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const der = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }));
  return issuer.issueX509({ spiffeId: SPIFFE_ID, publicKey: der, dnsNames: [], ttlSeconds: 3600 });
};
const issueJwt = ({ issuer }: Authorities) =>
  issuer.issueJwt({ spiffeId: SPIFFE_ID, audience: ['a'], ttlSeconds: 3600, includeJti: false });
const isValidToken = (token: string, bundle: Bundle) => {
  try {
    return validateJwtSvid(token, 'a', () => bundle, now).token === token;
  } catch {
    return false;
  }
};
const lines = [
  ['X.509', (ca: Authorities) => ca.manager.x509Authorities],
  ['JWT', (ca: Authorities) => ca.manager.jwtAuthorities],
] as const;

describe.each(lines)('a %s authority', (kind, lineOf) => {
  test('is prepared, activated, tainted and revoked, each for all to see, and a restart in between changes nothing', async () => {
    const [first, second] = await (async () => {
      await using ca = await open();
      const before = lineOf(ca).states.active.authorityId;
      const prepared = await lineOf(ca).prepare();
      expect(lineOf(ca).states).toMatchObject({ active: { authorityId: before }, prepared, old: undefined });
      expect(taintOf(ca, prepared.authorityId)).toBe(false);
      return [before, prepared.authorityId];
    })();
    {
      await using ca = await open();
      expect(lineOf(ca).states.prepared?.authorityId).toBe(second);
      expect(await lineOf(ca).activate(second)).toMatchObject({ authorityId: second, state: 'active' });
      expect(lineOf(ca).states).toMatchObject({ active: { authorityId: second }, old: { authorityId: first } });
      expect(lineOf(ca).states.prepared).toBeUndefined();
    }
    {
      await using ca = await open();
      expect(await lineOf(ca).taint(first)).toMatchObject({ authorityId: first, state: 'old' });
      expect([taintOf(ca, first), taintOf(ca, second)]).toEqual([true, false]);
    }
    await using ca = await open();
    expect([taintOf(ca, first), lineOf(ca).states.old?.authorityId]).toEqual([true, first]);
    await lineOf(ca).revoke(first);
    expect([taintOf(ca, first), taintOf(ca, second)]).toEqual([undefined, false]);
    expect(lineOf(ca).states).toMatchObject({ active: { authorityId: second }, old: undefined });
  });

  test('that is prepared takes the place of one that was prepared before', async () => {
    await using ca = await open();
    const line = lineOf(ca);
    const first = await line.prepare();
    const second = await line.prepare();
    expect(line.states.prepared).toEqual(second);
    await expect(line.activate(first.authorityId)).rejects.toMatchObject(refusal('unexpected authority ID'));
    await line.activate(second.authorityId);
    await issueX509(ca);
    await issueJwt(ca);
  });

  test('is not touched where SPIRE does not: its codes, its messages', async () => {
    await using ca = await open();
    const line = lineOf(ca);
    const active = line.states.active.authorityId;
    const of = (authorityId: string) => ({
      activate: line.activate(authorityId),
      taint: line.taint(authorityId),
      revoke: line.revoke(authorityId),
    });
    const prepared = (await line.prepare()).authorityId;
    await expectRefusals(of(''), {
      activate: 'no authority ID provided',
      taint: 'no authority ID provided',
      revoke: 'invalid authority ID: no authority ID provided',
    });
    await expectRefusals(of(active), {
      activate: 'unexpected authority ID',
      taint: 'unable to taint current local authority',
      revoke: 'invalid authority ID: unable to use current authority',
    });
    await expectRefusals(
      { taint: line.taint(prepared), revoke: line.revoke(prepared) },
      {
        taint: 'only Old local authorities can be tainted: unsupported local authority status: PREPARED',
        revoke:
          kind === 'JWT'
            ? 'invalid authority ID: unable to use a prepared key'
            : 'invalid authority ID: only Old local authority can be revoked',
      },
    );
    await expectRefusals(of('another'), {
      activate: 'unexpected authority ID',
      taint: 'unexpected authority ID',
      revoke:
        kind === 'JWT'
          ? 'invalid authority ID: no JWT authority found with provided authority ID'
          : 'invalid authority ID: only Old local authority can be revoked',
    });
    await line.activate(prepared);
    await expect(line.activate(active)).rejects.toMatchObject({
      code: 'INTERNAL',
      message: 'only Prepared authorities can be activated: unsupported local authority status: OLD',
    });
    await expect(line.revoke(active)).rejects.toMatchObject({
      code: 'INTERNAL',
      message: `failed to revoke ${kind} authority: ${kind} authority "${active}" is not tainted: taint it before it is revoked`,
    });
    await line.taint(active);
    await expect(line.taint(active)).rejects.toMatchObject({
      code: 'INTERNAL',
      message: `failed to taint ${kind} authority: ${kind} authority "${active}" is tainted already`,
    });
    await line.revoke(active);
    await expect(line.taint(active)).rejects.toMatchObject(refusal('unexpected authority ID'));
    expect(await ca.bundleSizes()).toEqual([1, 1]);
  });

  test('that is old can be tainted after others have followed it', async () => {
    await using ca = await open({ ttlSeconds: 10 * DAY });
    const line = lineOf(ca);
    const ids = [line.states.active.authorityId];
    for (let generation = 0; generation < 3; generation += 1) {
      const { authorityId } = await line.prepare();
      await line.activate(authorityId);
      ids.push(authorityId);
    }
    await line.prepare();
    expect(line.states.old?.authorityId).toBe(ids[2]);
    await line.taint(ids[0] ?? '');
    await line.revoke(ids[0] ?? '');
    expect(ids.map((id) => taintOf(ca, id))).toEqual([undefined, false, false, false]);
  });

  test('made by hand rotates by itself in its time', async () => {
    await using ca = await open();
    const line = lineOf(ca);
    pass(3600);
    const { authorityId } = await line.prepare();
    await line.activate(authorityId);
    pass(DAY / 2 - 1);
    await ca.manager.rotate();
    expect(line.states.prepared).toBeUndefined();
    pass(1);
    await ca.manager.rotate();
    expect(line.states.prepared).toBeDefined();
    pass(DAY / 3);
    await ca.manager.rotate();
    expect(line.states.old?.authorityId).toBe(authorityId);
  });

  function taintOf(ca: Authorities, authorityId: string): boolean | undefined {
    const { x509Authorities, jwtAuthorities } = ca.bundle.current;
    if (kind === 'JWT') return jwtAuthorities.find(({ keyId }) => keyId === authorityId)?.tainted;
    const idOf = (der: Uint8Array) => Buffer.from(parseCertificate(der).subjectKeyId ?? []).toString('hex');
    return x509Authorities.find(({ certificate }) => idOf(certificate) === authorityId)?.tainted;
  }
});

const refusal = (message: string) => ({ code: 'ARGUMENT_INVALID', message });

async function expectRefusals(
  calls: Readonly<Record<string, Promise<unknown>>>,
  messages: Readonly<Record<string, string>>,
) {
  for (const [name, call] of Object.entries(calls)) {
    await expect(call, name).rejects.toMatchObject(refusal(messages[name] ?? ''));
  }
}

test('what a tainted authority signed is valid and no more trusted; of a revoked one neither', async () => {
  await using ca = await open();
  const [{ chain }, { token }] = [await issueX509(ca), await issueJwt(ca)];
  const states = () => ({
    valid: isValidX509Svid(chain, ca.bundle.current, now),
    trusted: isTrustedX509Svid(chain, ca.bundle.current, now),
    token: isValidToken(token, ca.bundle.current),
  });
  for (const line of [ca.manager.x509Authorities, ca.manager.jwtAuthorities]) {
    await line.activate((await line.prepare()).authorityId);
  }
  expect(states()).toEqual({ valid: true, trusted: true, token: true });
  for (const line of [ca.manager.x509Authorities, ca.manager.jwtAuthorities])
    await line.taint(line.states.old?.authorityId ?? '');
  expect(states()).toEqual({ valid: true, trusted: false, token: true });
  for (const line of [ca.manager.x509Authorities, ca.manager.jwtAuthorities])
    await line.revoke(line.states.old?.authorityId ?? '');
  expect(states()).toEqual({ valid: false, trusted: false, token: false });
  expect(isTrustedX509Svid((await issueX509(ca)).chain, ca.bundle.current, now)).toBe(true);
  expect(isValidToken((await issueJwt(ca)).token, ca.bundle.current)).toBe(true);
});

test('an authority whose key was lost is old: it can be tainted', async () => {
  const lost = await (async () => {
    await using ca = await open();
    return ca.ids;
  })();
  await using ca = await open({ keys: new LastingKeys() });
  expect(ca.manager.x509Authorities.states.old?.authorityId).toBe(lost[0]);
  await ca.manager.x509Authorities.taint(lost[0] ?? '');
  await ca.manager.jwtAuthorities.taint(lost[1] ?? '');
});

test('steps at once are taken one after the other', async () => {
  await using ca = await open();
  const { x509Authorities: x509, jwtAuthorities: jwt } = ca.manager;
  const results = await Promise.all([
    x509.prepare(),
    jwt.prepare(),
    ca.manager.rotate(),
    x509.prepare(),
    jwt.prepare(),
  ]);
  expect(x509.states.prepared).toEqual(results[3]);
  expect(jwt.states.prepared).toEqual(results[4]);
  const activations = [results[3], results[3]].map(({ authorityId }) => x509.activate(authorityId));
  expect((await Promise.allSettled(activations)).map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
});

test('what is forgotten, and what is signed, is counted (M005, M056 to M058)', async () => {
  await using ca = await open();
  const counted = (...key: readonly string[]) => ca.metrics.counter(key).value;
  await ca.manager.rotate();
  expect(counted('ca', 'manager', 'bundle', 'pruned')).toBe(0);
  pass(2 * DAY + 60);
  await ca.manager.rotate();
  expect(counted('ca', 'manager', 'bundle', 'pruned')).toBe(1);
  await issueX509(ca);
  await issueJwt(ca);
  await issueJwt(ca);
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const der = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }));
  await ca.issuer.issueDownstreamCa({ publicKey: der, ttlSeconds: 60 });
  const signed = ['x509_svid', 'jwt_svid', 'x509_ca_svid'].map((what) => counted('server_ca', 'sign', what));
  expect(signed).toEqual([1, 2, 1]);
});
