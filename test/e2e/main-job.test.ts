import { execFile } from 'node:child_process';
import { createPrivateKey, createPublicKey, verify, X509Certificate } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { Status } from '../../src/spiffe/status.ts';
import { DerReader, Tag } from '../../src/x509/der.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { Deployment } from './deployment.ts';
import { ekHashByTools } from './ek-from-tools.ts';
import { expectNoSecrets } from './no-secrets.ts';
import { nothingLeftIn } from './nothing-left.ts';
import type { Program } from './program.ts';
import { AUDIENCE, askForX509, fetchIdentity, type WorkloadIdentity } from './workload-process.ts';

const run = promisify(execFile);
const NOBODY = 65534;

let deployment: Deployment;
let server: Program;
let agent: Program;
const seen: WorkloadIdentity[] = [];
beforeAll(async () => {
  deployment = await Deployment.create();
  server = await deployment.startServer();
  agent = await deployment.startAgent();
});
afterAll(() => deployment[Symbol.asyncDispose]());

async function identity(): Promise<WorkloadIdentity> {
  const found = await fetchIdentity(deployment.workloadSocket);
  seen.push(found);
  return found;
}

test('the agent has the ID of its TPM', async () => {
  const hash = await ekHashByTools(deployment.tpm, 'rsa-2048');
  const { stdout } = await deployment.admin('agent', 'list', '-output', 'json');
  const { agents } = z
    .object({ agents: z.array(z.object({ id: z.object({ path: z.string() }) })) })
    .parse(JSON.parse(stdout));
  expect(agents.map(({ id }) => id.path)).toEqual([`/spire/agent/tpm/${hash}`]);
});

test('a workload that nobody entitled gets no identity', async () => {
  expect(await askForX509(deployment.workloadSocket)).toEqual({
    refusal: { status: Status.PermissionDenied, message: 'no identity issued' },
  });
});

test('a workload gets an X.509-SVID that openssl verifies, and its key', async () => {
  await deployment.entitle();
  await expect.poll(() => askForX509(deployment.workloadSocket), { timeout: 30_000 }).toHaveProperty('x509');
  const [svid] = (await identity()).x509;
  expect(svid?.spiffeId).toBe('spiffe://example.org/workload');
  const [leaf = new Uint8Array(0), ...intermediates] = certificatesIn(svid?.chain);
  const certificate = new X509Certificate(leaf);
  expect(certificate.subjectAltName).toBe('URI:spiffe://example.org/workload');
  const key = createPrivateKey({ key: Buffer.from(svid?.key ?? []), format: 'der', type: 'pkcs8' });
  expect(certificate.checkPrivateKey(key)).toBe(true);
  const { folder } = deployment;
  await writeFile(
    folder.join('svid.pem'),
    [leaf, ...intermediates].map((der) => encodePem('CERTIFICATE', der)).join(''),
  );
  const roots = certificatesIn(svid?.bundle).map((der) => encodePem('CERTIFICATE', der));
  await writeFile(folder.join('roots.pem'), roots.join(''));
  const { stdout } = await run('openssl', ['verify', '-CAfile', folder.join('roots.pem'), folder.join('svid.pem')]);
  expect(stdout).toContain('svid.pem: OK');
});

test('and a JWT-SVID that Node’s crypto verifies, and the Workload API, too', async () => {
  const { token, bundles, validated } = await identity();
  const [header = '', payload = '', signature = ''] = token.split('.');
  const { kid, alg } = z.object({ kid: z.string(), alg: z.literal('ES256') }).parse(decoded(header));
  const jwks = z.object({ keys: z.array(z.looseObject({ kid: z.string() })) });
  const { keys } = jwks.parse(JSON.parse(bundles['spiffe://example.org'] ?? '{}'));
  const jwk = keys.find((candidate) => candidate.kid === kid);
  const key = createPublicKey({ key: jwk ?? {}, format: 'jwk' });
  const signed = Buffer.from(`${header}.${payload}`);
  expect(verify('sha256', signed, { key, dsaEncoding: 'ieee-p1363' }, Buffer.from(signature, 'base64url'))).toBe(true);
  expect(alg).toBe('ES256');
  expect(decoded(payload)).toMatchObject({ sub: 'spiffe://example.org/workload', aud: [AUDIENCE] });
  expect(validated).toMatchObject({
    spiffeId: 'spiffe://example.org/workload',
    claims: { sub: 'spiffe://example.org/workload' },
  });
});

test('a workload of another user gets no identity', async () => {
  // Where the tests have no right to be somebody else, they are nobody already.
  const uid = process.getuid?.() === 0 ? NOBODY : undefined;
  if (uid === undefined) await deployment.admin('entry', 'create', ...forUser(NOBODY));
  const answer = await askForX509(deployment.workloadSocket, uid);
  if (uid === undefined) expect(answer).not.toHaveProperty('x509.1');
  else expect(answer).toEqual({ refusal: { status: Status.PermissionDenied, message: 'no identity issued' } });
});

const forUser = (uid: number) => [
  ...['-parentID', 'spiffe://example.org/node', '-spiffeID', 'spiffe://example.org/nobody'],
  ...['-selector', `unix:uid:${uid}`],
];

test('an agent that is restarted while the server is away serves what it had', async () => {
  const before = (await identity()).x509;
  await agent.waitFor('workload cache updated');
  await server.stop();
  await agent.stop();
  agent = await deployment.startAgent();
  expect(await askForX509(deployment.workloadSocket)).toEqual({ x509: before });
  server = await deployment.startServer();
  await expect.poll(async () => (await identity()).x509, { timeout: 60_000 }).toEqual(before);
});

test('nothing is left in the TPM, and nothing secret is in a log', async () => {
  await nothingLeftIn(deployment.tpm);
  const { stdout } = await deployment.admin('token', 'generate');
  const token = /[0-9a-f-]{36}/.exec(stdout)?.[0] ?? '';
  expect(token).not.toBe('');
  await expectNoSecrets(deployment, [
    token,
    ...seen.map((found) => found.token),
    ...seen.flatMap(({ x509 }) => x509.map(({ key }) => Buffer.from(key).toString('base64'))),
  ]);
});

/** The Workload API hands certificates on as DER in a row. */
function certificatesIn(row: Uint8Array = new Uint8Array(0)): readonly Uint8Array[] {
  const reader = new DerReader(row);
  const certificates: Uint8Array[] = [];
  while (!reader.isAtEnd) certificates.push(reader.readRaw(Tag.sequence, 'certificate'));
  return certificates;
}

function decoded(part: string): unknown {
  return JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
}
