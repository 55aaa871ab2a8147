import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BundleDefinition } from '../../src/gen/spire/api/server/bundle/v1/bundle.ts';
import { Bundle } from '../../src/gen/spire/api/types/types.ts';
import { Status } from '../../src/spiffe/status.ts';
import { TestProcess } from '../harness/child-process.ts';
import { buildGo } from '../harness/go.ts';
import { describeWithGo } from '../harness/requires.ts';
import type { TestAgent } from '../harness/running-agent.ts';
import { TestDomain } from './test-domain.ts';
import { AS_WORKLOAD, fetchX509, firstOf, workloadApi } from './workload.ts';

// What SPIFFE Workload API and JWT-SVID say of calls, row by row, with a federated trust domain whose only authority, for
// JWTs, is a key of the test's own.

const PARTNER = 'partner.org';
const KEY_ID = 'partner-key';
const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

const resources = new AsyncDisposableStack();
let domain: TestDomain;
let agent: TestAgent;

beforeAll(async () => {
  domain = resources.use(await TestDomain.start());
  const publicKey = authority.publicKey.export({ type: 'spki', format: 'der' });
  await setPartner({ jwtAuthorities: [{ publicKey, keyId: KEY_ID, expiresAt: 0n, tainted: false }] });
  await domain.createEntry('/web', { hint: 'front', federatesWith: [PARTNER] });
  agent = resources.use(await domain.startAgent());
});
afterAll(() => resources.disposeAsync());

async function setPartner(authorities: Partial<Bundle>): Promise<void> {
  const bundle = Bundle.fromPartial({ trustDomain: PARTNER, ...authorities });
  const api = domain.server.admin(BundleDefinition);
  const { results } = await api.batchSetFederatedBundle({ bundle: [bundle], outputMask: undefined });
  expect(results.map(({ status: outcome }) => outcome?.code)).toEqual([0]);
}

const status = (code: Status, message: string | RegExp) =>
  expect.objectContaining({ status: code, message: expect.stringMatching(message) });
const seconds = (fromNow: number) => Math.floor(Date.now() / 1000) + fromNow;
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

const header = { alg: 'ES256', kid: KEY_ID, typ: 'JWT' };
const claims = () => ({ sub: `spiffe://${PARTNER}/api`, aud: ['db'], exp: seconds(300) });

/** Whatever is said to be undefined is left out. */
function tokenWith(
  changedHeader: object = {},
  changedClaims: object = {},
  key: KeyObject = authority.privateKey,
): string {
  const text = `${encode({ ...header, ...changedHeader })}.${encode({ ...claims(), ...changedClaims })}`;
  return `${text}.${sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

const validate = (svid: string, audience = 'db') => workloadApi(agent).validateJWTSVID({ audience, svid }, AS_WORKLOAD);

describe('ValidateJWTSVID', () => {
  test('takes a token of a federated trust domain, and shows the claims of the standard alone', async () => {
    const shown = claims(); // once: they are of this second
    const answer = await validate(tokenWith({}, { ...shown, role: 'admin' }));
    expect(answer).toEqual({ spiffeId: `spiffe://${PARTNER}/api`, claims: shown });
  });

  const refused: readonly (readonly [what: string, message: RegExp, token: () => string])[] = [
    ['algorithm "none" (JWT-SVID §2.1)', /algorithm "none"/, () => tokenWith({ alg: 'none' })],
    ['no signature (RFC 7515 §5.2)', /three parts/, () => tokenWith({ alg: 'none' }).replace(/[^.]+$/, '')],
    ['algorithm "HS256" (JWT-SVID §2.1)', /algorithm "HS256"/, () => tokenWith({ alg: 'HS256' })],
    ['another algorithm than its key is for (RFC 7518 §3)', /not of the kind/, () => tokenWith({ alg: 'ES384' })],
    ['a type that is no JWT (JWT-SVID §2.3)', /type "at\+jwt"/, () => tokenWith({ typ: 'at+jwt' })],
    ['a key that is not in the bundle (JWT-SVID §4)', /"gone" is not in the bundle/, () => tokenWith({ kid: 'gone' })],
    ['no key (JWT-SVID §2.2)', /names no key/, () => tokenWith({ kid: undefined })],
    ['a signature of somebody else', /signature/, () => tokenWith({}, {}, stranger)],
    ['another audience (JWT-SVID §3.2)', /audience "db" is not in/, () => tokenWith({}, { aud: ['cache'] })],
    ['no audience (JWT-SVID §3.2)', /"aud" is missing/, () => tokenWith({}, { aud: undefined })],
    ['no subject (JWT-SVID §3.1)', /"sub" is missing/, () => tokenWith({}, { sub: undefined })],
    ['a subject that is no SPIFFE ID (JWT-SVID §3.1)', /"sub" is no SPIFFE ID/, () => tokenWith({}, { sub: 'me' })],
    ['no expiry (JWT-SVID §3.3)', /"exp" is missing/, () => tokenWith({}, { exp: undefined })],
    ['an expiry that has passed (JWT-SVID §3.3)', /expired at/, () => tokenWith({}, { exp: seconds(-300) })],
    ['a start to come (RFC 7519 §4.1.5)', /not valid before/, () => tokenWith({}, { nbf: seconds(300) })],
    [
      'a trust domain that is not federated (JWT-SVID §4)',
      /"other.org"/,
      () => tokenWith({}, { sub: 'spiffe://other.org/api' }),
    ],
    [
      'the agent’s own trust domain, by a foreign key (JWT-SVID §4)',
      /"partner-key" is not in the bundle/,
      () => tokenWith({}, { sub: 'spiffe://example.org/web' }),
    ],
    ['more than it may have bytes', /characters: \d+ at most/, () => tokenWith({}, { pad: 'x'.repeat(1_000_000) })],
    ['what is no token', /three parts/, () => 'token'],
  ];
  test.each(refused)('refuses %s', async (_what, message, token) => {
    await expect(validate(token())).rejects.toEqual(status(Status.InvalidArgument, message));
  });
});

describe('a federated trust domain with authorities for JWTs alone', () => {
  test('is among the JWT bundles, and not among those of X.509', async () => {
    const { bundles } = await firstOf(workloadApi(agent).fetchJWTBundles({}, AS_WORKLOAD));
    expect(JSON.parse(Buffer.from(bundles[`spiffe://${PARTNER}`] ?? []).toString()).keys).toEqual([
      expect.objectContaining({ kid: KEY_ID }),
    ]);
    expect((await fetchX509(agent)).federatedBundles).toEqual({});
    const x509 = await firstOf(workloadApi(agent).fetchX509Bundles({}, AS_WORKLOAD));
    expect(Object.keys(x509.bundles)).toEqual(['spiffe://example.org']);
  });

  describeWithGo('for go-spiffe', () => {
    test('does not spoil the others', async () => {
      const module = fileURLToPath(new URL('../interop/workload-api', import.meta.url));
      const program = await buildGo(module, 'workload');
      const socket = `SPIFFE_ENDPOINT_SOCKET=unix://${agent.running.socketPath}`;
      await using workload = await TestProcess.start('/usr/bin/env', [socket, program, 'fetch']);
      expect(JSON.parse((await workload.readLine()) ?? 'null')).toEqual({
        identities: [expect.objectContaining({ id: 'spiffe://example.org/web', hint: 'front' })],
        authorities: { 'example.org': [1, 1] },
      });
    }, 120_000);
  });
});

describe('the security header (Workload Endpoint §3)', () => {
  const values = [undefined, 'false', 'TRUE', 'true,true'] as const;
  test.each(values)('as %s refuses the calls of one answer', async (value) => {
    const options = value === undefined ? {} : { metadata: { 'workload.spiffe.io': value } };
    const refusal = status(Status.InvalidArgument, 'security header missing from request');
    const api = workloadApi(agent);
    await expect(api.fetchJWTSVID({ audience: ['db'], spiffeId: '' }, options)).rejects.toEqual(refusal);
    await expect(api.validateJWTSVID({ audience: 'db', svid: tokenWith() }, options)).rejects.toEqual(refusal);
  });
});

test('a wanted SPIFFE ID has to be one', async () => {
  const wrong = workloadApi(agent).fetchJWTSVID({ audience: ['db'], spiffeId: 'web' }, AS_WORKLOAD);
  await expect(wrong).rejects.toEqual(status(Status.InvalidArgument, 'spiffe'));
});

describe('every stream', () => {
  const streams = ['fetchX509SVID', 'fetchX509Bundles', 'fetchJWTBundles'] as const;

  test('answers at once, and ends with PERMISSION_DENIED where the last entry is deleted (Workload Endpoint §6)', async () => {
    await using other = await TestDomain.start();
    const id = await other.createEntry('/short-lived');
    await using itsAgent = await other.startAgent();
    await using stack = new AsyncDisposableStack();
    const opened = streams.map((name) => stack.use(workloadApi(itsAgent)[name]({}, AS_WORKLOAD)));
    for (const stream of opened) expect(await stream.receive()).toBeDefined();
    await other.deleteEntry(id);
    for (const stream of opened) {
      await expect(stream.receive()).rejects.toEqual(status(Status.PermissionDenied, 'no identity issued'));
    }
  }, 60_000);

  test('is told of a federated bundle that changes', async () => {
    await using stream = workloadApi(agent).fetchJWTBundles({}, AS_WORKLOAD);
    const keyIds = async () => {
      const { bundles = {} } = (await stream.receive()) ?? {};
      const { keys } = JSON.parse(Buffer.from(bundles[`spiffe://${PARTNER}`] ?? []).toString());
      return keys.map(({ kid }: { kid: string }) => kid);
    };
    expect(await keyIds()).toEqual([KEY_ID]);
    const publicKey = authority.publicKey.export({ type: 'spki', format: 'der' });
    const another = { publicKey, expiresAt: 0n, tainted: false };
    await setPartner({
      jwtAuthorities: [
        { ...another, keyId: KEY_ID },
        { ...another, keyId: 'next' },
      ],
    });
    expect(await keyIds()).toEqual([KEY_ID, 'next']);
  }, 60_000);
});
