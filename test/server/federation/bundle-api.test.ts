import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  BundleDefinition,
  BatchDeleteFederatedBundleRequest_Mode as Mode,
} from '../../../src/gen/spire/api/server/bundle/v1/bundle.ts';
import { EntryDefinition } from '../../../src/gen/spire/api/server/entry/v1/entry.ts';
import { Bundle, BundleMask, Entry } from '../../../src/gen/spire/api/types/types.ts';
import { Status } from '../../../src/spiffe/status.ts';
import { TestAuthority } from '../../../src/testing/test-authority.ts';
import { TestServer } from '../../harness/running-server.ts';
import { createTemporaryFolder } from '../../harness/temporary-folder.ts';
import { TlsCaller } from '../callers.ts';
import { authority, bundleOf, other, statuses, x509 } from './api-bundles.ts';

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

describe('the own bundle', () => {
  test('is appended to, each authority once', async () => {
    const before = await bundles().getBundle({ outputMask });
    const request = { x509Authorities: x509(authority), jwtAuthorities: [], witAuthorities: [], outputMask };
    const after = await bundles().appendBundle(request);
    expect(after.x509Authorities).toHaveLength(before.x509Authorities.length + 1);
    expect(after.sequenceNumber).toBe(before.sequenceNumber + 1n);
    expect(await bundles().appendBundle(request)).toEqual(after);
    const mask = BundleMask.fromPartial({ sequenceNumber: true });
    expect(await bundles().appendBundle({ ...request, outputMask: mask })).toEqual(
      Bundle.fromPartial({ trustDomain: 'example.org', sequenceNumber: after.sequenceNumber }),
    );
  });

  const key = { keyId: 'k', publicKey: Buffer.of(1, 2), expiresAt: 0n, tainted: false };
  test.each([
    ['nothing', { x509Authorities: [], jwtAuthorities: [] }, 'no authorities to append'],
    [
      'no certificate',
      { x509Authorities: [{ asn1: Buffer.of(1), tainted: false }], jwtAuthorities: [] },
      /failed to convert X\.509 authority: unable to parse X\.509 authority 1/,
    ],
    [
      'no key',
      { x509Authorities: [], jwtAuthorities: [key] },
      /failed to convert JWT authority: unable to parse JWT authority 1/,
    ],
  ])('takes no %s', async (_what, request, message) => {
    await expect(bundles().appendBundle({ ...request, witAuthorities: [], outputMask })).rejects.toMatchObject({
      status: Status.InvalidArgument,
      message: typeof message === 'string' ? message : expect.stringMatching(message),
    });
  });

  test('takes no key without an ID, nor two of one', async () => {
    const { jwtAuthorities } = await bundles().getBundle({ outputMask });
    const [jwt] = jwtAuthorities;
    if (jwt === undefined) throw new Error('no JWT authority');
    const append = (keys: typeof jwtAuthorities) =>
      bundles().appendBundle({ x509Authorities: [], jwtAuthorities: keys, witAuthorities: [], outputMask });
    await expect(append([{ ...jwt, keyId: '' }])).rejects.toMatchObject({
      message: expect.stringMatching(/missing key ID/),
    });
    await expect(append([jwt, jwt])).rejects.toMatchObject({ message: expect.stringMatching(/names two keys/) });
  });

  test('is nobody else’s to create, update, set, get or delete as a federated one', async () => {
    const own = { bundle: [bundleOf('example.org')], outputMask };
    const answers = [
      await bundles().batchCreateFederatedBundle(own),
      await bundles().batchUpdateFederatedBundle({ ...own, inputMask: undefined }),
      await bundles().batchSetFederatedBundle(own),
      await bundles().batchDeleteFederatedBundle({ trustDomains: ['example.org'], mode: Mode.DELETE }),
    ];
    expect(answers.map(statuses)).toEqual([
      [[3, "creating a federated bundle for the server's own trust domain is not allowed"]],
      [[3, "updating a federated bundle for the server's own trust domain is not allowed"]],
      [[3, "setting a federated bundle for the server's own trust domain is not allowed"]],
      [[3, 'removing the bundle for the server trust domain is not allowed']],
    ]);
    await expect(bundles().getFederatedBundle({ trustDomain: 'example.org', outputMask })).rejects.toMatchObject({
      status: Status.InvalidArgument,
      message: "getting a federated bundle for the server's own trust domain is not allowed",
    });
  });
});

describe('federated bundles', () => {
  test('are created, and each item has its status', async () => {
    const given = [
      bundleOf('a.test'),
      bundleOf('a.test'),
      bundleOf('No Name'),
      bundleOf('b.test', { x509Authorities: [{ asn1: Buffer.of(1), tainted: false }] }),
    ];
    const answer = await bundles().batchCreateFederatedBundle({
      bundle: given,
      outputMask: BundleMask.fromPartial({ refreshHint: true }),
    });
    expect(statuses(answer)).toEqual([
      [0, 'OK'],
      [6, 'bundle already exists'],
      [3, expect.stringMatching(/^trust domain argument is not valid: /)],
      [3, expect.stringMatching(/^failed to convert bundle: unable to parse X\.509 authority 1: /)],
    ]);
    expect(answer.results.map(({ bundle }) => bundle)).toEqual([
      Bundle.fromPartial({ trustDomain: 'a.test', refreshHint: 60n }),
      undefined,
      undefined,
      undefined,
    ]);
    expect(await bundles().getFederatedBundle({ trustDomain: 'spiffe://a.test', outputMask })).toEqual(
      bundleOf('a.test'),
    );
  });

  test('are updated by mask; the sequence number never goes back', async () => {
    await bundles().batchSetFederatedBundle({ bundle: [bundleOf('u.test', { sequenceNumber: 5n })], outputMask });
    const update = (fields: Partial<Bundle>, mask: Partial<BundleMask> | undefined) =>
      bundles().batchUpdateFederatedBundle({
        bundle: [bundleOf('u.test', fields)],
        inputMask: mask && BundleMask.fromPartial(mask),
        outputMask,
      });
    const changed = { x509Authorities: x509(other), refreshHint: 99n, sequenceNumber: 2n };
    const [hint] = (await update(changed, { refreshHint: true })).results;
    expect(hint?.bundle).toEqual(bundleOf('u.test', { refreshHint: 99n, sequenceNumber: 6n }));
    const [authorities] = (await update(changed, { x509Authorities: true })).results;
    expect(authorities?.bundle).toEqual(bundleOf('u.test', { ...changed, sequenceNumber: 7n }));
    const [all] = (await update({ sequenceNumber: 100n }, undefined)).results;
    expect(all?.bundle).toEqual(bundleOf('u.test', { sequenceNumber: 100n }));
    expect(
      statuses(
        await bundles().batchUpdateFederatedBundle({
          bundle: [bundleOf('none.test')],
          inputMask: undefined,
          outputMask,
        }),
      ),
    ).toEqual([[5, 'bundle not found']]);
  });

  test('take no number that is none', async () => {
    const wrong = [bundleOf('w.test', { refreshHint: -1n }), bundleOf('w.test', { refreshHint: 2n ** 40n })];
    expect(statuses(await bundles().batchSetFederatedBundle({ bundle: wrong, outputMask }))).toEqual(
      wrong.map(() => [3, expect.stringMatching(/failed to convert bundle: refresh hint/)]),
    );
  });

  test('are listed by pages without the own one, and counted with it', async () => {
    const names = ['p1.test', 'p2.test', 'p3.test'];
    await bundles().batchSetFederatedBundle({ bundle: names.map((name) => bundleOf(name)), outputMask });
    const all = await bundles().listFederatedBundles({ outputMask, pageSize: 0, pageToken: '' });
    const listed: string[] = [];
    let pageToken = '';
    do {
      const page = await bundles().listFederatedBundles({ outputMask: BundleMask.create(), pageSize: 2, pageToken });
      expect(page.bundles.every((bundle) => bundle.x509Authorities.length === 0)).toBe(true);
      listed.push(...page.bundles.map(({ trustDomain }) => trustDomain));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(listed).toEqual(all.bundles.map(({ trustDomain }) => trustDomain));
    expect(listed).toEqual(expect.arrayContaining(names));
    expect(listed).not.toContain('example.org');
    expect(await bundles().countBundles({})).toEqual({ count: listed.length + 1 });
    await expect(bundles().listFederatedBundles({ outputMask, pageSize: 2, pageToken: '!' })).rejects.toMatchObject({
      status: Status.InvalidArgument,
    });
  });

  test('are deleted: not under an entry, with it, or from under it', async () => {
    const entries = server.admin(EntryDefinition);
    const federated = async (path: string) => {
      const entry = Entry.fromPartial({
        spiffeId: { trustDomain: 'example.org', path },
        parentId: { trustDomain: 'example.org', path: '/node' },
        selectors: [{ type: 'unix', value: 'uid:1' }],
        federatesWith: ['d.test'],
      });
      await bundles().batchSetFederatedBundle({ bundle: [bundleOf('d.test')], outputMask });
      const { results } = await entries.batchCreateEntry({ entries: [entry], outputMask });
      return results[0]?.entry?.id ?? '';
    };
    const remove = async (mode: Mode) =>
      statuses(await bundles().batchDeleteFederatedBundle({ trustDomains: ['d.test'], mode }));
    const id = await federated('/one');
    expect(await remove(Mode.RESTRICT)).toEqual([
      [9, expect.stringMatching(/^failed to delete federated bundle: .*1 registration entries/)],
    ]);
    expect(await remove(Mode.DISSOCIATE)).toEqual([[0, 'OK']]);
    expect((await entries.getEntry({ id, outputMask })).federatesWith).toEqual([]);
    const second = await federated('/two');
    expect(await remove(Mode.DELETE)).toEqual([[0, 'OK']]);
    await expect(entries.getEntry({ id: second, outputMask })).rejects.toMatchObject({ status: Status.NotFound });
    expect(await remove(Mode.RESTRICT)).toEqual([[5, 'bundle not found']]);
    await expect(bundles().getFederatedBundle({ trustDomain: 'd.test', outputMask })).rejects.toMatchObject({
      status: Status.NotFound,
      message: 'bundle not found',
    });
    await expect(bundles().batchDeleteFederatedBundle({ trustDomains: [], mode: 7 as Mode })).rejects.toMatchObject({
      status: Status.InvalidArgument,
      message: expect.stringMatching(/^failed to parse deletion mode/),
    });
  });
});

describe('an administrator of a federated trust domain', () => {
  test('is let in for as long as its bundle is there', async () => {
    const admins = await TestAuthority.create('admins.test');
    const { certificates, privateKey } = await admins.issue({ spiffeId: 'spiffe://admins.test/admin' });
    const stranger = await admins.issue({ spiffeId: 'spiffe://admins.test/other' });
    const count = async (identity: { certificates: readonly Uint8Array[]; privateKey: typeof privateKey }) => {
      using caller = new TlsCaller(server, identity);
      return await caller
        .client(BundleDefinition)
        .countBundles({}, { deadlineMs: 5_000 })
        .then(
          () => Status.Ok,
          ({ status }: { status: Status }) => status,
        );
    };
    expect(await count({ certificates, privateKey })).toBe(Status.Unavailable);
    await bundles().batchSetFederatedBundle({
      bundle: [bundleOf('admins.test', { x509Authorities: x509(admins) })],
      outputMask,
    });
    expect(await count({ certificates, privateKey })).toBe(Status.Ok);
    expect(await count(stranger)).toBe(Status.PermissionDenied);
    await bundles().batchDeleteFederatedBundle({ trustDomains: ['admins.test'], mode: Mode.RESTRICT });
    expect(await count({ certificates, privateKey })).toBe(Status.Unavailable);
  });
});
