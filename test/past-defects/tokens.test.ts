import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { BundleDefinition } from '../../src/gen/spire/api/server/bundle/v1/bundle.ts';
import { Bundle } from '../../src/gen/spire/api/types/types.ts';
import { Status } from '../../src/spiffe/status.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { TestAuthority } from '../../src/testing/test-authority.ts';
import { TestDomain } from '../agent/test-domain.ts';
import { AS_WORKLOAD, workloadApi } from '../agent/workload.ts';
import type { TestAgent } from '../harness/running-agent.ts';
import { attestByJoinToken, newJoinToken } from '../server/callers.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const PARTNER = 'partner.test';
const resources = new AsyncDisposableStack();
const key = generateKeyPairSync('ec', { namedCurve: 'P-256' });
let domain: TestDomain;
let agent: TestAgent;

beforeAll(async () => {
  domain = resources.use(await TestDomain.start());
  const publicKey = new Uint8Array(key.publicKey.export({ type: 'spki', format: 'der' }));
  const { certificate } = await TestAuthority.create(parseTrustDomain(PARTNER));
  const bundle = Bundle.fromPartial({
    trustDomain: PARTNER,
    x509Authorities: [{ asn1: certificate.der }],
    jwtAuthorities: [{ keyId: 'k', publicKey }],
  });
  const { results } = await domain.server
    .admin(BundleDefinition)
    .batchSetFederatedBundle({ bundle: [bundle], outputMask: undefined });
  expect(results[0]?.status?.code).toBe(0);
  await domain.createEntry('/web', { federatesWith: [PARTNER] });
  agent = resources.use(await domain.startAgent());
});
afterAll(() => resources.disposeAsync());

test('a join token that many show at once admits one', async () => {
  const { server } = domain;
  for (let round = 0; round < 5; round++) {
    const token = await newJoinToken(server);
    const results = await Promise.allSettled(Array.from({ length: 12 }, () => attestByJoinToken(server, token)));
    const admitted = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    for (const caller of admitted) caller[Symbol.dispose]();
    expect(admitted).toHaveLength(1);
    const refusals = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
    for (const refusal of refusals) expect(refusal).toMatchObject({ status: Status.InvalidArgument });
  }
});

const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const SUB = `spiffe://${PARTNER}/db`;
const LATER = Math.floor(Date.now() / 1000) + 3600;

function jwtOf(claims: string, header: unknown = { alg: 'ES256', kid: 'k', typ: 'JWT' }): string {
  const text = `${base64(header)}.${Buffer.from(claims).toString('base64url')}`;
  const signature = sign('sha256', Buffer.from(text), { key: key.privateKey, dsaEncoding: 'ieee-p1363' });
  return `${text}.${signature.toString('base64url')}`;
}

const validate = async (svid: string) =>
  await workloadApi(agent).validateJWTSVID({ audience: 'me', svid }, AS_WORKLOAD);

test('a JWT that is whole is taken: what follows is refused for what it lacks', async () => {
  const svid = jwtOf(JSON.stringify({ sub: SUB, aud: ['me'], exp: LATER }));
  await expect
    .poll(async () => await validate(svid).catch((error: Error) => error.message))
    .toMatchObject({
      spiffeId: SUB,
    });
});

const claims = [
  ['no exp', `{"sub":"${SUB}","aud":["me"]}`],
  ['an exp of null', `{"sub":"${SUB}","aud":["me"],"exp":null}`],
  ['an exp in a text', `{"sub":"${SUB}","aud":["me"],"exp":"${LATER}"}`],
  ['an exp of 0', `{"sub":"${SUB}","aud":["me"],"exp":0}`],
  ['an exp beyond all numbers', `{"sub":"${SUB}","aud":["me"],"exp":1e400}`],
  ['an exp in a list', `{"sub":"${SUB}","aud":["me"],"exp":[${LATER}]}`],
  ['an exp of true', `{"sub":"${SUB}","aud":["me"],"exp":true}`],
  ['another exp behind the first', `{"sub":"${SUB}","aud":["me"],"exp":${LATER},"exp":null}`],
  ['an exp by another name', `{"sub":"${SUB}","aud":["me"],"EXP":${LATER},"nbf":0,"iat":0}`],
] as const;
test.each(claims)('a JWT with %s is refused', async (_what, text) => {
  await expect(validate(jwtOf(text))).rejects.toMatchObject({ status: Status.InvalidArgument });
});

test('a JWT that the public key authenticates as a secret, or nothing does, is refused', async () => {
  const body = Buffer.from(`{"sub":"${SUB}","aud":["me"],"exp":${LATER}}`).toString('base64url');
  const none = `${base64({ alg: 'none', kid: 'k' })}.${body}.`;
  const text = `${base64({ alg: 'HS256', kid: 'k' })}.${body}`;
  const pem = key.publicKey.export({ type: 'spki', format: 'pem' });
  for (const svid of [none, `${text}.${createHmac('sha256', pem).update(text).digest('base64url')}`]) {
    await expect(validate(svid)).rejects.toMatchObject({ status: Status.InvalidArgument });
  }
});
