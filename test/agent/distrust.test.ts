import { expect, test, vi } from 'vitest';
import type { SpiffeError } from '../../src/spiffe/error.ts';
import { keyIdOfJwtSvid } from '../../src/spiffe/jwt-svid.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { authoritySteps } from '../harness/authority-steps.ts';
import type { TestAgent } from '../harness/running-agent.ts';
import { TestDomain } from './test-domain.ts';
import { AS_WORKLOAD, fetchX509, workloadApi } from './workload.ts';

vi.setConfig({ testTimeout: 90_000 }); // most tests start several programs

// Inventory B002: an authority is replaced, tainted, revoked.
const WAIT = { timeout: 30_000, interval: 100 };

/** Subject key ID of the authority that signed the workload's X.509-SVID, and of those of its bundle. */
async function authoritiesOf(
  agent: TestAgent,
): Promise<{ readonly signedBy: string; readonly trusted: readonly string[] }> {
  const [svid] = (await fetchX509(agent)).svids;
  if (svid === undefined) throw new Error('the workload has no SVID');
  return {
    signedBy: hex(parseCertificate(first(svid.x509Svid)).authorityKeyId),
    trusted: split(svid.bundle).map((der) => hex(parseCertificate(der).subjectKeyId)),
  };
}

const hex = (bytes: Uint8Array = new Uint8Array()) => Buffer.from(bytes).toString('hex');

/** Certificates that follow one another, each with its length in its header. */
function split(all: Uint8Array): readonly Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (let rest = all; rest.length > 0; rest = rest.subarray(first(rest).length)) parts.push(first(rest));
  return parts;
}

function first(der: Uint8Array): Uint8Array {
  return der.subarray(0, 4 + Buffer.from(der).readUInt16BE(2)); // 30 82 length
}

const warnings = ({ records }: { readonly records: TestAgent['records'] }) =>
  records.filter(({ level }) => level === 'warning' || level === 'error').map(({ message }) => message);

test('X.509: workload, agent and server get other SVIDs once the authority is tainted, and nothing fails when it is revoked', async () => {
  await using domain = await TestDomain.start();
  await domain.createEntry('/web');
  await using agent = await domain.startAgent();
  const { server } = domain;
  const steps = authoritySteps(server, 'X509');
  const old = await steps.active();
  expect(await authoritiesOf(agent)).toEqual({ signedBy: old, trusted: [old] });

  const prepared = await steps.prepare();
  await expect.poll(() => authoritiesOf(agent), WAIT).toEqual({ signedBy: old, trusted: [old, prepared] });
  await steps.activate(prepared);
  const renewals = () => agent.messages.filter((message) => message === 'agent X.509-SVID renewed').length;
  expect([renewals(), (await authoritiesOf(agent)).signedBy]).toEqual([0, old]);

  await steps.taint(old);
  await expect.poll(() => authoritiesOf(agent), WAIT).toEqual({ signedBy: prepared, trusted: [old, prepared] });
  await expect.poll(renewals, WAIT).toBe(1);
  await expect
    .poll(() => server.records.filter(({ message }) => message === 'server X.509-SVID rotated').length, WAIT)
    .toBe(1);

  await steps.revoke(old);
  await expect.poll(() => authoritiesOf(agent), WAIT).toEqual({ signedBy: prepared, trusted: [prepared] });
  await domain.createEntry('/later');
  await expect.poll(async () => (await fetchX509(agent)).svids.length, WAIT).toBe(2);
  expect([...warnings(agent), ...warnings(server)]).toEqual([]);
});

test('JWT: the agent hands no token on that a tainted authority signed', async () => {
  await using domain = await TestDomain.start();
  await domain.createEntry('/web');
  await using agent = await domain.startAgent();
  const steps = authoritySteps(domain.server, 'JWT');
  const signedBy = async () => {
    const request = { audience: ['a'], spiffeId: '' };
    const { svids } = await workloadApi(agent).fetchJWTSVID(request, AS_WORKLOAD);
    return keyIdOfJwtSvid(svids[0]?.svid ?? '');
  };
  const old = await steps.active();
  expect(await signedBy()).toBe(old);
  const prepared = await steps.prepare();
  await steps.activate(prepared);
  expect(await signedBy()).toBe(old); // it is good for some time
  await steps.taint(old);
  await expect.poll(signedBy, WAIT).toBe(prepared);
  await steps.revoke(old);
  expect(await signedBy()).toBe(prepared);
  expect(warnings(agent)).toEqual([]);
});

test('an agent that slept through taint and revocation learns why the server hangs up on it', async () => {
  await using domain = await TestDomain.start();
  await domain.createEntry('/web');
  const settings = `join_token = "${await domain.createToken()}"`;
  await (await domain.startAgent('agent', { settings }))[Symbol.asyncDispose]();
  const steps = authoritySteps(domain.server, 'X509');
  const old = await steps.active();
  // The agent knows the next authority, or could not tell the server from another.
  const prepared = await steps.prepare();
  await (await domain.startAgent('agent', { settings }))[Symbol.asyncDispose]();
  await steps.activate(prepared);
  await steps.taint(old);
  await steps.revoke(old);
  await using agent = await domain.startAgent('agent', { settings });
  const error = await agent.running.ended.then(
    () => expect.unreachable('the agent goes on'),
    (reason: SpiffeError) => reason,
  );
  expect(error.message).toContain('has to attest again, the authority that signed its X.509-SVID was revoked');
});
