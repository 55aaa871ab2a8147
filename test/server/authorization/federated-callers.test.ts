import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  BundleDefinition,
  BatchDeleteFederatedBundleRequest_Mode as Mode,
} from '../../../src/gen/spire/api/server/bundle/v1/bundle.ts';
import { EntryDefinition } from '../../../src/gen/spire/api/server/entry/v1/entry.ts';
import type { TlsIdentity } from '../../../src/rpc/tls-identity.ts';
import { toApiBundle } from '../../../src/server/api/api-bundle.ts';
import type { Bundle } from '../../../src/spiffe/bundle.ts';
import { Status } from '../../../src/spiffe/status.ts';
import { eventually } from '../../harness/eventually.ts';
import { TestServer } from '../../harness/running-server.ts';
import { createTemporaryFolder } from '../../harness/temporary-folder.ts';
import { TlsCaller } from '../callers.ts';
import { ForeignDomain } from './foreign-domain.ts';
import { created, inScope } from './registrar.ts';

const SETTINGS = `
  admin_ids = ["spiffe://partner.test/operator"]
  experimental { cache_reload_interval = "100ms" }
  authorization {
    role "shop" {
      callers = ["spiffe://partner.test/registrar"]
      methods = ["entries:read", "entries:write"]
      scope { spiffe_id_prefixes = ["spiffe://example.org/ns/shop"] }
    }
  }`;

const resources = new AsyncDisposableStack();
let server: TestServer;
let partner: ForeignDomain;
let stranger: ForeignDomain;

beforeAll(async () => {
  const folder = resources.use(await createTemporaryFolder());
  server = resources.use(await TestServer.start({ folder: folder.path, settings: SETTINGS }));
  partner = await ForeignDomain.create('partner.test');
  stranger = await ForeignDomain.create('stranger.test');
});
afterAll(() => resources.disposeAsync());

async function countAs(identity: TlsIdentity): Promise<number> {
  using caller = new TlsCaller(server, identity);
  return await countBy(caller);
}

async function countBy(caller: TlsCaller): Promise<number> {
  return await caller
    .client(EntryDefinition)
    .countEntries({ filter: undefined })
    .then(
      ({ count }) => count,
      ({ status }: { status: number }) => -status,
    );
}

async function federateWith(bundle: Bundle): Promise<void> {
  const { results } = await server
    .admin(BundleDefinition)
    .batchSetFederatedBundle({ bundle: [toApiBundle(bundle, undefined)], outputMask: undefined });
  expect(results.map(({ status }) => status?.code)).toEqual([Status.Ok]);
}

test('callers of a federated trust domain are let in for as long as its bundle is here', async () => {
  const registrar = await partner.identity('spiffe://partner.test/registrar');
  const operator = await partner.identity('spiffe://partner.test/operator');
  await created(server.admin(EntryDefinition), inScope());
  await created(server.admin(EntryDefinition), inScope({ spiffeId: { trustDomain: 'example.org', path: '/bank' } }));
  expect(await countAs(registrar)).toBeLessThan(0);

  const bundles = server.admin(BundleDefinition);
  await federateWith(partner.bundle);
  await federateWith(stranger.bundle);
  await eventually(async () => expect(await countAs(registrar)).toBe(1));
  expect(await countAs(operator)).toBe(2); // admin_ids
  expect(await countAs(await partner.identity('spiffe://partner.test/somebody'))).toBe(-Status.PermissionDenied);

  // Who else could claim to be the registrar: another authority that is federated with, and this one for ourselves.
  expect(await countAs(await stranger.identity('spiffe://partner.test/registrar'))).toBeLessThan(0);
  expect(await countAs(await stranger.identity('spiffe://stranger.test/registrar'))).toBeLessThan(0);
  expect(await countAs(await partner.identity('spiffe://example.org/spire/server'))).toBeLessThan(0);

  using connected = new TlsCaller(server, registrar);
  expect(await countBy(connected)).toBe(1);
  await bundles.batchDeleteFederatedBundle({ trustDomains: ['partner.test'], mode: Mode.DELETE });
  await eventually(async () => expect(await countBy(connected)).toBe(-Status.PermissionDenied));
  expect(await countAs(operator)).toBeLessThan(0);
});
