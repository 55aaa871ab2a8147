import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Datastore, openDatastore } from '../../src/datastore/datastore.ts';
import { BundleKeeper } from '../../src/server/bundle-keeper.ts';
import { SpiffeError } from '../../src/spiffe/error.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { makeRoot } from '../x509/made-ca.ts';

const trustDomain = parseTrustDomain('example.org');
const WAIT = { timeout: 20_000, interval: 50 };
let folder: TemporaryFolder;
let datastore: Datastore;
let keeper: BundleKeeper;
let subjectKeyId: string;

beforeEach(async () => {
  folder = await createTemporaryFolder();
  datastore = await openDatastore({ path: `${folder.path}/datastore.sqlite3` });
  keeper = await BundleKeeper.open(datastore.bundles, trustDomain);
  const { certificate } = await makeRoot();
  subjectKeyId = Buffer.from(certificate.subjectKeyId ?? []).toString('hex');
  await keeper.append({ x509: [{ certificate: certificate.der, tainted: false }] });
  await keeper.taintX509(subjectKeyId);
});
afterEach(async () => {
  vi.restoreAllMocks();
  await datastore[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

/** As another server of the same database does. */
const revoke = () => datastore.bundles.revokeX509Authority(trustDomain, subjectKeyId);

test('a revocation elsewhere is taken over though the datastore was away as it became known', async () => {
  const warnings: string[] = [];
  const away = new SpiffeError('DATASTORE_UNAVAILABLE', 'datastore cannot be reached: call again');
  const stop = keeper.follow(datastore.changes, { warning: (message) => void warnings.push(message) });
  vi.spyOn(datastore.bundles, 'find').mockRejectedValueOnce(away);
  await revoke();
  await expect.poll(() => keeper.current.x509Authorities, WAIT).toEqual([]);
  expect(warnings).toEqual(['the bundle could not be read: trying again']);
  stop();
});

test('what changed between opening and following is taken over', async () => {
  await revoke();
  expect(keeper.current.x509Authorities).toHaveLength(1);
  const stop = keeper.follow(datastore.changes, { warning: expect.unreachable });
  await expect.poll(() => keeper.current.x509Authorities, WAIT).toEqual([]);
  stop();
});
