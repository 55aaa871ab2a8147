import { afterAll, beforeAll, expect, test } from 'vitest';
import { LocalAuthorityDefinition } from '../../src/gen/spire/api/server/localauthority/v1/localauthority.ts';
import { Status } from '../../src/spiffe/status.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { readExposition } from '../harness/exposition.ts';
import { TestServer } from '../harness/running-server.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';

// Inventory R030 to R046.
const resources = new AsyncDisposableStack();
let folder: TemporaryFolder;
let server: TestServer;

beforeAll(async () => {
  folder = resources.use(await createTemporaryFolder());
  server = resources.use(await TestServer.start({ folder: folder.path, telemetry: 'Prometheus { port = 9988 }' }));
});
afterAll(() => resources.disposeAsync());

const api = () => server.admin(LocalAuthorityDefinition);

test('X.509 authorities: state, prepare, activate, taint, revoke', async () => {
  const { active } = await api().getX509AuthorityState({});
  const [root] = server.running.bundle.x509Authorities;
  const certificate = parseCertificate(root?.certificate ?? new Uint8Array());
  expect(active).toEqual({
    authorityId: Buffer.from(certificate.subjectKeyId ?? []).toString('hex'),
    expiresAt: BigInt(certificate.notAfter.getTime() / 1000),
    upstreamAuthoritySubjectKeyId: '',
  });
  const { preparedAuthority } = await api().prepareX509Authority({});
  expect(await api().getX509AuthorityState({})).toEqual({ active, prepared: preparedAuthority, old: undefined });
  const authorityId = preparedAuthority?.authorityId ?? '';
  expect(await api().activateX509Authority({ authorityId })).toEqual({ activatedAuthority: preparedAuthority });
  const old = active?.authorityId ?? '';
  expect(await api().taintX509Authority({ authorityId: old })).toEqual({ taintedAuthority: active });
  expect(await api().getX509AuthorityState({})).toEqual({
    active: preparedAuthority,
    prepared: undefined,
    old: active,
  });
  expect(await api().revokeX509Authority({ authorityId: old })).toEqual({ revokedAuthority: active });
  expect(await api().getX509AuthorityState({})).toEqual({
    active: preparedAuthority,
    prepared: undefined,
    old: undefined,
  });
});

test('JWT authorities: state, prepare, activate, taint, revoke', async () => {
  const { active } = await api().getJWTAuthorityState({});
  expect(server.running.bundle.jwtAuthorities.map(({ keyId }) => keyId)).toEqual([active?.authorityId]);
  const { preparedAuthority } = await api().prepareJWTAuthority({});
  const authorityId = preparedAuthority?.authorityId ?? '';
  expect(await api().activateJWTAuthority({ authorityId })).toEqual({ activatedAuthority: preparedAuthority });
  const old = active?.authorityId ?? '';
  await api().taintJWTAuthority({ authorityId: old });
  await api().revokeJWTAuthority({ authorityId: old });
  expect(await api().getJWTAuthorityState({})).toEqual({
    active: preparedAuthority,
    prepared: undefined,
    old: undefined,
  });
  expect(server.running.bundle.jwtAuthorities.map(({ keyId }) => keyId)).toEqual([authorityId]);
});

test('refusals have the codes of SPIRE', async () => {
  const authorityId = 'none';
  const subjectKeyId = 'AB';
  const invalid = (message: string) => ({ status: Status.InvalidArgument, message });
  await expect(api().activateX509Authority({ authorityId })).rejects.toMatchObject(invalid('unexpected authority ID'));
  await expect(api().taintJWTAuthority({ authorityId: '' })).rejects.toMatchObject(invalid('no authority ID provided'));
  const upstream = { status: Status.FailedPrecondition, message: 'upstream authority is not configured' };
  await expect(api().taintX509UpstreamAuthority({ subjectKeyId })).rejects.toMatchObject(upstream);
  await expect(api().revokeX509UpstreamAuthority({ subjectKeyId })).rejects.toMatchObject(upstream);
});

test('WIT authorities there are none', async () => {
  const unimplemented = {
    status: Status.Unimplemented,
    message: 'WIT-SVID functionality is not implemented: this server has X.509 and JWT authorities',
  };
  const authorityId = 'any';
  await expect(api().getWITAuthorityState({})).rejects.toMatchObject(unimplemented);
  await expect(api().prepareWITAuthority({})).rejects.toMatchObject(unimplemented);
  await expect(api().activateWITAuthority({ authorityId })).rejects.toMatchObject(unimplemented);
  await expect(api().taintWITAuthority({ authorityId })).rejects.toMatchObject(unimplemented);
  await expect(api().revokeWITAuthority({ authorityId })).rejects.toMatchObject(unimplemented);
});

test('what is done is counted and timed (M004 to M008, M052 to M054, M056, M058)', async () => {
  const response = await fetch(`http://localhost:${server.metricsPort}/metrics`);
  const samples = await readExposition(await response.text());
  const read = (name: string) => samples.find((sample) => sample.name === `spire_server_${name}`)?.value;
  expect(read('ca_manager_x509_ca_prepare')).toBe(2); // at the start, and by hand
  expect(read('ca_manager_x509_ca_prepare_elapsed_time')).toBe(2);
  expect(read('ca_manager_jwt_key_prepare')).toBe(2);
  expect(read('ca_manager_x509_ca_activate')).toBe(2);
  expect(read('manager_jwt_key_activate')).toBe(2);
  expect(read('ca_manager_bundle_prune')).toBeGreaterThan(0);
  expect(read('server_ca_sign_x509_svid')).toBeGreaterThan(0);
  const { active } = await api().getX509AuthorityState({});
  expect(read('manager_x509_ca_rotate_expiration')).toBe(Number(active?.expiresAt));
  expect(read('manager_x509_ca_rotate_ttl')).toBeCloseTo(24 * 3600, -1);
});

test('with disable_jwt_svids JWT authorities are unimplemented', async () => {
  await using other = await createTemporaryFolder();
  await using server = await TestServer.start({ folder: other.path, settings: 'disable_jwt_svids = true' });
  const refused = { status: Status.Unimplemented, message: 'JWT functionality is disabled' };
  const client = server.admin(LocalAuthorityDefinition);
  await expect(client.getJWTAuthorityState({})).rejects.toMatchObject(refused);
  await expect(client.prepareJWTAuthority({})).rejects.toMatchObject(refused);
  expect((await client.getX509AuthorityState({})).active).toBeDefined();
});
