import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BundleDefinition } from '../../../src/gen/spire/api/server/bundle/v1/bundle.ts';
import { TrustDomainDefinition } from '../../../src/gen/spire/api/server/trustdomain/v1/trustdomain.ts';
import { FederationRelationship, FederationRelationshipMask } from '../../../src/gen/spire/api/types/types.ts';
import { Status } from '../../../src/spiffe/status.ts';
import { TestServer } from '../../harness/running-server.ts';
import { createTemporaryFolder } from '../../harness/temporary-folder.ts';
import { bundleOf, statuses } from './api-bundles.ts';

const resources = new AsyncDisposableStack();
const outputMask = undefined;
let server: TestServer;
beforeAll(async () => {
  const folder = resources.use(await createTemporaryFolder());
  server = resources.use(
    await TestServer.start({
      folder: folder.path,
      settings: 'admin_ids = ["spiffe://example.org/admin", "spiffe://admins.test/admin"]',
    }),
  );
});
afterAll(() => resources.disposeAsync());

const bundles = () => server.admin(BundleDefinition);
const relationships = () => server.admin(TrustDomainDefinition);

describe('federation relationships', () => {
  const web = (trustDomain: string, fields: Partial<FederationRelationship> = {}): FederationRelationship => ({
    trustDomain,
    bundleEndpointUrl: 'https://127.0.0.1:1/',
    bundleEndpointProfile: { $case: 'httpsWeb', value: {} },
    trustDomainBundle: undefined,
    ...fields,
  });
  const spiffe = (endpointSpiffeId: string) => ({ $case: 'httpsSpiffe', value: { endpointSpiffeId } }) as const;
  const create = (...federationRelationships: FederationRelationship[]) =>
    relationships().batchCreateFederationRelationship({ federationRelationships, outputMask });

  test('are created with a bundle or without', async () => {
    const given = web('r1.test', {
      bundleEndpointProfile: spiffe('spiffe://r1.test/server'),
      trustDomainBundle: bundleOf('r1.test'),
    });
    const answer = await create(given, web('r2.test'));
    expect(answer.results).toEqual([
      { status: { code: 0, message: 'OK' }, federationRelationship: given },
      { status: { code: 0, message: 'OK' }, federationRelationship: web('r2.test') },
    ]);
    expect(await relationships().getFederationRelationship({ trustDomain: 'r1.test', outputMask })).toEqual(given);
    const mask = FederationRelationshipMask.fromPartial({ bundleEndpointUrl: true });
    expect(await relationships().getFederationRelationship({ trustDomain: 'r1.test', outputMask: mask })).toEqual(
      FederationRelationship.fromPartial({ trustDomain: 'r1.test', bundleEndpointUrl: given.bundleEndpointUrl }),
    );
  });

  const wrong: readonly (readonly [string, FederationRelationship, RegExp])[] = [
    ['the own trust domain', web('example.org'), /^unable to create federation relationship for server trust domain$/],
    ['no trust domain', web('X'), /^failed to convert federation relationship: failed to parse trust domain: /],
    ['http', web('x.test', { bundleEndpointUrl: 'http://x.test' }), /bundle endpoint URL must use the https scheme/],
    ['user info', web('x.test', { bundleEndpointUrl: 'https://a:b@x.test' }), /must not contain user info/],
    ['no profile', web('x.test', { bundleEndpointProfile: undefined }), /unsupported bundle endpoint profile type/],
    ['no SPIFFE ID', web('x.test', { bundleEndpointProfile: spiffe('x') }), /failed to parse endpoint SPIFFE ID/],
    [
      'another’s bundle',
      web('x.test', { trustDomainBundle: bundleOf('y.test') }),
      /trust domain bundle \("y\.test"\) must match/,
    ],
    [
      'our bundle',
      web('x.test', { trustDomainBundle: bundleOf('example.org') }),
      /trust domain bundle \("example\.org"\) must match/,
    ],
  ];
  test.each(wrong)('are not created with %s', async (_what, relationship, message) => {
    expect(statuses(await create(relationship))).toEqual([[3, expect.stringMatching(message)]]);
    await expect(
      relationships().getFederationRelationship({ trustDomain: 'x.test', outputMask }),
    ).rejects.toMatchObject({
      status: Status.NotFound,
      message: 'federation relationship does not exist',
    });
  });

  test('are there once', async () => {
    expect(statuses(await create(web('twice.test'), web('twice.test')))).toEqual([
      [0, 'OK'],
      [6, expect.stringMatching(/^failed to create federation relationship: .*exists already/)],
    ]);
  });

  test('are updated by mask', async () => {
    await create(web('up.test'));
    const changed = web('up.test', {
      bundleEndpointUrl: 'https://127.0.0.1:2/',
      bundleEndpointProfile: spiffe('spiffe://up.test/s'),
      trustDomainBundle: bundleOf('up.test'),
    });
    const update = async (mask: Partial<FederationRelationshipMask> | undefined) => {
      const inputMask = mask && FederationRelationshipMask.fromPartial(mask);
      const { results } = await relationships().batchUpdateFederationRelationship({
        federationRelationships: [changed],
        inputMask,
        outputMask,
      });
      return results[0]?.federationRelationship;
    };
    expect(await update({ bundleEndpointUrl: true })).toEqual(
      web('up.test', { bundleEndpointUrl: 'https://127.0.0.1:2/' }),
    );
    expect(await update({ trustDomainBundle: true })).toEqual({
      ...changed,
      bundleEndpointProfile: web('').bundleEndpointProfile,
    });
    expect(await update(undefined)).toEqual(changed);
    const none = await relationships().batchUpdateFederationRelationship({
      federationRelationships: [web('none.test')],
      inputMask: undefined,
      outputMask,
    });
    expect(statuses(none)).toEqual([[5, 'federation relationship not found']]);
  });

  test('are listed by pages and deleted, and their bundles stay', async () => {
    await create(web('l1.test', { trustDomainBundle: bundleOf('l1.test') }), web('l2.test'), web('l3.test'));
    const listed: string[] = [];
    let pageToken = '';
    do {
      const page = await relationships().listFederationRelationships({ outputMask, pageSize: 2, pageToken });
      listed.push(...page.federationRelationships.map(({ trustDomain }) => trustDomain));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(listed).toEqual(expect.arrayContaining(['l1.test', 'l2.test', 'l3.test']));
    const deleted = await relationships().batchDeleteFederationRelationship({
      trustDomains: ['l1.test', 'l1.test', '', 'X'],
    });
    expect(statuses(deleted)).toEqual([
      [0, 'OK'],
      [5, 'federation relationship not found'],
      [3, 'missing trust domain'],
      [3, expect.stringMatching(/^failed to parse trust domain: /)],
    ]);
    expect((await bundles().getFederatedBundle({ trustDomain: 'l1.test', outputMask })).trustDomain).toBe('l1.test');
  });

  test('are refreshed at once, and say what failed', async () => {
    await create(web('gone.test'));
    await expect(relationships().refreshBundle({ trustDomain: 'gone.test' })).rejects.toMatchObject({
      status: Status.Internal,
      message: expect.stringMatching(/^failed to refresh bundle: cannot connect to 127\.0\.0\.1 port 1/),
    });
    await expect(relationships().refreshBundle({ trustDomain: 'unknown.test' })).rejects.toMatchObject({
      status: Status.NotFound,
      message: 'no relationship with trust domain "unknown.test"',
    });
  });
});
