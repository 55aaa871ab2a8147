import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { LocalAuthorityDefinition } from '../../src/gen/spire/api/server/localauthority/v1/localauthority.ts';
import { Status } from '../../src/spiffe/status.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { decodePem } from '../../src/x509/pem.ts';
import { TestDomain } from '../agent/test-domain.ts';
import { fetchX509 } from '../agent/workload.ts';
import { AuthorityFolder, type MadeCa } from '../harness/authority-folder.ts';

vi.setConfig({ testTimeout: 120_000 }); // server, agent and their plugins

// Inventory R039, R041: an administrator taints and revokes a root above.
const WAIT = { timeout: 60_000, interval: 100 };
const resources = new AsyncDisposableStack();
let files: AuthorityFolder;

beforeAll(() => {
  files = resources.use(new AuthorityFolder());
});
afterAll(() => resources.disposeAsync());

function use(made: MadeCa, used: { readonly certificate: string; readonly key: string }): void {
  for (const name of ['certificate', 'key'] as const) {
    writeFileSync(`${used[name]}.new`, readFileSync(made[name]), { mode: 0o600 });
    renameSync(`${used[name]}.new`, used[name]);
  }
}

const hex = (bytes: Uint8Array = new Uint8Array()) => Buffer.from(bytes).toString('hex');
const keyIdOf = ({ certificate }: MadeCa) => {
  const [der = new Uint8Array()] = decodePem(readFileSync(certificate, 'utf8'), 'CERTIFICATE');
  return hex(parseCertificate(der).subjectKeyId);
};

test('workloads get SVIDs below another root once one is tainted, and it can be revoked then', async () => {
  const [first, second] = [files.root('first'), files.root('second')];
  const used = { certificate: `${files.path}/used.pem`, key: `${files.path}/used.key` };
  use(first, used);
  await using domain = await TestDomain.start({
    plugins: `KeyManager "memory" {}\n  NodeAttestor "join_token" {}
  UpstreamAuthority "disk" { plugin_data { cert_file_path = "${used.certificate}" key_file_path = "${used.key}" } }`,
  });
  await domain.createEntry('/web');
  await using agent = await domain.startAgent();
  const { server } = domain;
  const api = server.admin(LocalAuthorityDefinition);
  const ids = [keyIdOf(first), keyIdOf(second)] as const;
  const upstreamOf = async () => {
    const { active, old } = await api.getX509AuthorityState({});
    return [active, old].map((state) => state?.upstreamAuthoritySubjectKeyId);
  };
  /** The root above the CA that signed the workload's SVID, which comes behind it. */
  const rootOfWorkload = async () => {
    const chain = Buffer.from((await fetchX509(agent)).svids[0]?.x509Svid ?? []);
    const leafLength = 4 + chain.readUInt16BE(2);
    return hex(parseCertificate(chain.subarray(leafLength)).authorityKeyId);
  };
  const invalid = (message: string) => ({ status: Status.InvalidArgument, message });

  expect([await upstreamOf(), await rootOfWorkload()]).toEqual([[ids[0], undefined], ids[0]]);
  await expect(api.taintX509UpstreamAuthority({ subjectKeyId: ids[0] })).rejects.toMatchObject(
    invalid('provided subject key id is not valid: unable to use upstream authority signing current authority'),
  );
  await expect(api.taintX509UpstreamAuthority({ subjectKeyId: '' })).rejects.toMatchObject(
    invalid('provided subject key id is not valid: no subject key ID provided'),
  );
  await expect(api.revokeX509UpstreamAuthority({ subjectKeyId: 'ab' })).rejects.toMatchObject(
    invalid("invalid subject key ID: upstream authority didn't sign the old local authority"),
  );
  await expect(api.taintX509Authority({ authorityId: 'ab' })).rejects.toMatchObject({
    status: Status.FailedPrecondition,
    message: "local authority can't be tainted if there is an upstream authority",
  });

  use(second, used);
  await expect.poll(upstreamOf, WAIT).toEqual([ids[1], ids[0]]);
  expect(await rootOfWorkload()).toBe(ids[0]);
  const answer = await api.taintX509UpstreamAuthority({ subjectKeyId: ids[0].toUpperCase() });
  expect(answer).toEqual({ upstreamAuthoritySubjectKeyId: ids[0] });
  await expect.poll(rootOfWorkload, WAIT).toBe(ids[1]);
  await expect.poll(() => server.records.map(({ message }) => message), WAIT).toContain('server X.509-SVID rotated');
  await expect.poll(() => agent.messages, WAIT).toContain('agent X.509-SVID renewed');

  expect(await api.revokeX509UpstreamAuthority({ subjectKeyId: ids[0] })).toEqual(answer);
  const roots = server.running.bundle.x509Authorities.map(({ certificate }) => parseCertificate(certificate));
  expect(roots.map(({ subjectKeyId }) => hex(subjectKeyId))).toEqual([ids[1]]);
  await domain.createEntry('/later');
  await expect.poll(async () => (await fetchX509(agent)).svids.length, WAIT).toBe(2);
  const warnings = agent.records.filter(({ level }) => level === 'warning' || level === 'error');
  expect(warnings.map(({ message }) => message)).toEqual([]);
});
