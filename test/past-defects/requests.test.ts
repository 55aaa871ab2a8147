import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { AgentDefinition } from '../../src/gen/spire/api/server/agent/v1/agent.ts';
import { BundleDefinition } from '../../src/gen/spire/api/server/bundle/v1/bundle.ts';
import { EntryDefinition } from '../../src/gen/spire/api/server/entry/v1/entry.ts';
import { SVIDDefinition } from '../../src/gen/spire/api/server/svid/v1/svid.ts';
import { TrustDomainDefinition } from '../../src/gen/spire/api/server/trustdomain/v1/trustdomain.ts';
import { Bundle, Entry, EntryMask } from '../../src/gen/spire/api/types/types.ts';
import { RemoteError } from '../../src/rpc/status.ts';
import { Status } from '../../src/spiffe/status.ts';
import { TestServer } from '../harness/running-server.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { apiId, attestByJoinToken, newCsr } from '../server/callers.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const resources = new AsyncDisposableStack();
let server: TestServer;
beforeAll(async () => {
  const folder = resources.use(await createTemporaryFolder());
  server = resources.use(await TestServer.start({ folder: folder.path }));
  for (const trustDomain of ['one.test', 'two.test']) {
    const bundle = [Bundle.fromPartial({ trustDomain, refreshHint: 60n })];
    await server.admin(BundleDefinition).batchSetFederatedBundle({ bundle, outputMask: undefined });
  }
});
afterAll(() => resources.disposeAsync());

const entries = () => server.admin(EntryDefinition);

/** The fields of an entry that a mask can name and an administrator can set. */
const FIELDS = [
  'spiffeId',
  'parentId',
  'selectors',
  'x509SvidTtl',
  'federatesWith',
  'admin',
  'downstream',
  'expiresAt',
  'dnsNames',
  'storeSvid',
  'jwtSvidTtl',
  'hint',
] as const;
const LATER = BigInt(Math.floor(Date.now() / 1000) + 100_000);
const ONE = Entry.fromPartial({
  spiffeId: apiId('/one'),
  parentId: apiId('/parent-one'),
  selectors: [{ type: 'unix', value: 'uid:1' }],
  x509SvidTtl: 101,
  federatesWith: ['one.test'],
  admin: false,
  downstream: false,
  expiresAt: LATER + 1n,
  dnsNames: ['one.example.org'],
  storeSvid: false,
  jwtSvidTtl: 201,
  hint: 'one',
});
const TWO: Entry = {
  ...ONE,
  spiffeId: apiId('/two'),
  parentId: apiId('/parent-two'),
  selectors: [{ type: 'unix', value: 'uid:2' }],
  x509SvidTtl: 102,
  federatesWith: ['two.test'],
  admin: true,
  downstream: true,
  expiresAt: LATER + 2n,
  dnsNames: ['two.example.org'],
  storeSvid: true,
  jwtSvidTtl: 202,
  hint: 'two',
};
const fieldsOf = (entry: Entry | undefined) => Object.fromEntries(FIELDS.map((field) => [field, entry?.[field]]));

describe('a mask that names one field', () => {
  test.each(FIELDS)('changes %s and nothing else', async (field) => {
    const api = entries();
    const { results } = await api.batchCreateEntry({ entries: [ONE], outputMask: undefined });
    const id = results[0]?.entry?.id ?? '';
    const inputMask = EntryMask.fromPartial({ [field]: true });
    const updated = await api.batchUpdateEntry({ entries: [{ ...TWO, id }], inputMask, outputMask: undefined });
    expect(updated.results[0]?.status?.code).toBe(0);
    const stored = await api.getEntry({ id, outputMask: undefined });
    expect(fieldsOf(stored)).toEqual({ ...fieldsOf(ONE), [field]: TWO[field] });
    await api.batchDeleteEntry({ ids: [id] });
  });

  test.each(FIELDS)('shows %s of an entry and nothing else', async (field) => {
    const api = entries();
    const { results } = await api.batchCreateEntry({ entries: [TWO], outputMask: undefined });
    const id = results[0]?.entry?.id ?? '';
    const shown = await api.getEntry({ id, outputMask: EntryMask.fromPartial({ [field]: true }) });
    expect(fieldsOf(shown)).toEqual({ ...fieldsOf(Entry.fromPartial({})), [field]: TWO[field] });
    expect(shown).toMatchObject({ id, revisionNumber: 0n, createdAt: 0n });
    await api.batchDeleteEntry({ ids: [id] });
  });

  test('shows one field of an agent, a bundle and nothing else', async () => {
    using agent = await attestByJoinToken(server);
    const agents = server.admin(AgentDefinition);
    const none = {
      attestationType: false,
      x509svidSerialNumber: false,
      x509svidExpiresAt: false,
      selectors: false,
      banned: false,
      canReattest: false,
      agentVersion: false,
    };
    const bare = await agents.getAgent({ id: agent.id, outputMask: none });
    const whole = await agents.getAgent({ id: agent.id, outputMask: undefined });
    for (const field of ['attestationType', 'x509svidSerialNumber', 'x509svidExpiresAt', 'banned'] as const) {
      const shown = await agents.getAgent({ id: agent.id, outputMask: { ...none, [field]: true } });
      expect(shown).toEqual({ ...bare, [field]: whole[field] });
    }
    const bundles = server.admin(BundleDefinition);
    const nothing = {
      x509Authorities: false,
      jwtAuthorities: false,
      refreshHint: false,
      sequenceNumber: false,
      witAuthorities: false,
    };
    const bareBundle = await bundles.getBundle({ outputMask: nothing });
    const wholeBundle = await bundles.getBundle({ outputMask: undefined });
    for (const field of ['x509Authorities', 'jwtAuthorities', 'refreshHint', 'sequenceNumber'] as const) {
      const shown = await bundles.getBundle({ outputMask: { ...nothing, [field]: true } });
      expect(shown).toEqual({ ...bareBundle, [field]: wholeBundle[field] });
    }
  });

  test('changes one field of a federated bundle and nothing else', async () => {
    const bundles = server.admin(BundleDefinition);
    const before = await bundles.getFederatedBundle({ trustDomain: 'one.test', outputMask: undefined });
    const { csr } = await newCsr({ uriNames: ['spiffe://example.org/x'] });
    const { svid } = await server.admin(SVIDDefinition).mintX509SVID({ csr, ttl: 0 });
    expect(svid?.certChain).toHaveLength(1);
    const own = await bundles.getBundle({ outputMask: undefined });
    const given = { ...own, trustDomain: 'one.test', refreshHint: 77n, sequenceNumber: 9n };
    const inputMask = {
      x509Authorities: false,
      jwtAuthorities: false,
      refreshHint: true,
      sequenceNumber: false,
      witAuthorities: false,
    };
    const answer = await bundles.batchUpdateFederatedBundle({ bundle: [given], inputMask, outputMask: undefined });
    expect(answer.results[0]?.status?.code).toBe(0);
    const after = await bundles.getFederatedBundle({ trustDomain: 'one.test', outputMask: undefined });
    expect({ ...after, sequenceNumber: 0n }).toEqual({ ...before, refreshHint: 77n, sequenceNumber: 0n });
  });
});

describe('a name that is too long', () => {
  const long = (length: number) => 'x'.repeat(length);
  const rows: readonly (readonly [string, Partial<Entry>])[] = [
    ['a path of 100,000 characters', { spiffeId: apiId(`/${long(100_000)}`) }],
    ['a parent of 100,000 characters', { parentId: apiId(`/${long(100_000)}`) }],
    ['a path of 50,000 segments', { spiffeId: apiId('/a'.repeat(50_000)) }],
    ['a selector of 1,000,000 characters', { selectors: [{ type: 'unix', value: long(1_000_000) }] }],
    ['a selector of 2049 characters', { selectors: [{ type: 'unix', value: long(2049) }] }],
    ['a selector type of 100,000 characters', { selectors: [{ type: long(100_000), value: 'x' }] }],
    [
      'a DNS name of 300 characters',
      {
        dnsNames: [
          Array.from({ length: 150 }, () => 'a')
            .join('.')
            .padEnd(300, 'b'),
        ],
      },
    ],
    ['a DNS label of 64 characters', { dnsNames: [`${long(64)}.example.org`] }],
    ['a hint of 1025 characters', { hint: long(1025) }],
    ['an ID of 300 characters', { id: long(300) }],
    ['a trust domain of 300 characters', { federatesWith: [long(300)] }],
    ['a zero byte', { spiffeId: apiId('/a\0b') }],
  ];
  test.each(rows)('is refused shortly: %s', async (_what, more) => {
    const startedAt = process.cpuUsage();
    const { results } = await entries().batchCreateEntry({ entries: [{ ...ONE, ...more }], outputMask: undefined });
    const { user } = process.cpuUsage(startedAt);
    expect(results[0]?.status?.code).toBe(Status.InvalidArgument);
    expect(results[0]?.status?.message.length).toBeLessThan(2_100);
    expect(user / 1000).toBeLessThan(1_000); // of client and server, in milliseconds
  });

  test('is refused in a CSR and in a minted name too', async () => {
    const svids = server.admin(SVIDDefinition);
    const { csr } = await newCsr({ uriNames: [`spiffe://example.org/${'x'.repeat(5000)}`] });
    await expect(svids.mintX509SVID({ csr, ttl: 0 })).rejects.toMatchObject({ status: Status.InvalidArgument });
    const id = apiId(`/${'x'.repeat(100_000)}`);
    await expect(svids.mintJWTSVID({ id, audience: ['a'], ttl: 0 })).rejects.toMatchObject({
      status: Status.InvalidArgument,
    });
  });
});

test('names of the greatest length are taken, and issued', async () => {
  const path = `/${'x'.repeat(2048 - 'spiffe://example.org/'.length)}`;
  const longest = { ...ONE, spiffeId: apiId(path), selectors: [{ type: 'unix', value: 'v'.repeat(2048) }] };
  const { results } = await entries().batchCreateEntry({ entries: [longest], outputMask: undefined });
  expect(results[0]?.status?.code).toBe(0);
  const { svid } = await server.admin(SVIDDefinition).mintJWTSVID({ id: apiId(path), audience: ['a'], ttl: 0 });
  expect(svid?.id?.path).toBe(path);
});

describe('a page token', () => {
  const lists = {
    entries: (pageToken: string, pageSize: number) =>
      entries().listEntries({ filter: undefined, outputMask: undefined, pageSize, pageToken }),
    agents: (pageToken: string, pageSize: number) =>
      server.admin(AgentDefinition).listAgents({ filter: undefined, outputMask: undefined, pageSize, pageToken }),
    bundles: (pageToken: string, pageSize: number) =>
      server.admin(BundleDefinition).listFederatedBundles({ outputMask: undefined, pageSize, pageToken }),
    relationships: (pageToken: string, pageSize: number) =>
      server.admin(TrustDomainDefinition).listFederationRelationships({ outputMask: undefined, pageSize, pageToken }),
  };
  const tokens = [
    ['beyond 31 bits', '2147483648'],
    ['beyond 32 bits', '4294967296'],
    ['beyond 63 bits', '9223372036854775808'],
    ['beyond 64 bits', '18446744073709551616'],
    ['below zero', '-1'],
    ['of a fraction', '1.5'],
    ['of SQL', "' or 1=1 --"],
    ['of a zero byte', 'AA'],
    ['of 1 MB', 'A'.repeat(1_000_000)],
  ] as const;
  describe.each(Object.entries(lists))('of %s', (_name, list) => {
    test.each(tokens)('%s is refused or begins nowhere, and wraps to no other', async (_what, token) => {
      const outcome = await list(token, 10).then(
        () => Status.Ok,
        (error: unknown) => (error instanceof RemoteError ? error.status : Status.Internal),
      );
      expect([Status.InvalidArgument, Status.Ok]).toContain(outcome);
    });

    test.each([2 ** 31 - 1, -1, -(2 ** 31)])('with a page of %i is answered', async (size) => {
      await expect(list('', size)).resolves.toBeDefined();
    });
  });
});
