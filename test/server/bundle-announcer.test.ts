import { mkdir } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openDatastore } from '../../src/datastore/datastore.ts';
import { BundleDefinition } from '../../src/gen/spire/api/server/bundle/v1/bundle.ts';
import { emptyBundle } from '../../src/spiffe/bundle.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { TestAuthority } from '../../src/testing/test-authority.ts';
import { describeWithGo } from '../harness/requires.ts';
import { TestServer } from '../harness/running-server.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { describeBundle } from '../interop/sdk-plugins/describe.ts';
import { goPlugin } from '../plugin-host/go-plugins.ts';

type Kind = 'notifier' | 'bundle-publisher';
const WAIT = { timeout: 20_000, interval: 50 };
const KEYS = 'KeyManager "memory" {}\nNodeAttestor "join_token" {}\n';
const source = (kind: Kind) => new URL(`../interop/sdk-plugins/${kind}.ts`, import.meta.url).pathname;

const ours = async (kind: Kind, ...args: readonly string[]) =>
  `plugin_cmd = "${process.execPath}" plugin_args = ${JSON.stringify([source(kind), ...args])}`;
const inGo = async (kind: Kind, ...args: readonly string[]) =>
  `plugin_cmd = "${await goPlugin(kind, '1.8.0')}" plugin_args = ${JSON.stringify(args)}`;

let folder: TemporaryFolder;
beforeEach(async () => {
  folder = await createTemporaryFolder();
});
afterEach(() => folder[Symbol.asyncDispose]());

const start = (plugins: string) => TestServer.start({ folder: folder.path, plugins: KEYS + plugins });

/** A bundle that the plugins do not like is stored before the server starts. */
async function storeUnluckyBundle(): Promise<void> {
  await mkdir(folder.join('data'), { mode: 0o700 });
  await using datastore = await openDatastore({ path: folder.join('data/datastore.sqlite3') });
  await datastore.bundles.set({ ...emptyBundle(parseTrustDomain('example.org')), refreshHintSeconds: 13 });
}

function contract(command: (kind: Kind, ...args: readonly string[]) => Promise<string>): void {
  test('is told of the bundle before the server is ready, and of each change', async () => {
    await using server = await start(
      `Notifier "n" { ${await command('notifier')} }\nBundlePublisher "p" { ${await command('bundle-publisher')} }`,
    );
    const told = (message: string) =>
      server.records.filter(
        ({ fields, message: it }) => it === message && fields.bundle === describeBundle(server.running.bundle),
      );
    const indexOf = (message: string) => server.records.findIndex((record) => record.message === message);
    expect(told('loaded')).toHaveLength(1);
    expect(indexOf('loaded')).toBeLessThan(indexOf('server is ready'));
    await expect.poll(() => told('published').length, WAIT).toBe(1);
    expect(indexOf('updated')).toBe(-1);
    const { certificate } = await TestAuthority.create('example.org', 'Another');
    const x509Authorities = [{ asn1: certificate.der, tainted: false }];
    const request = { x509Authorities, jwtAuthorities: [], witAuthorities: [], outputMask: undefined };
    await server.admin(BundleDefinition).appendBundle(request);
    await expect.poll(() => [told('updated').length, told('published').length], WAIT).toEqual([1, 1]);
  });

  test('stops the start with its reason', async () => {
    await storeUnluckyBundle();
    const plugins = `Notifier "n" { ${await command('notifier')} }`;
    await expect(start(plugins)).rejects.toThrow('notifier(n): not that bundle');
  });

  test('is asked again to publish what it did not', async () => {
    await storeUnluckyBundle();
    await using server = await start(`BundlePublisher "p" { ${await command('bundle-publisher')} }`);
    const failures = () => server.records.filter(({ message }) => message === 'a bundle was not published');
    await expect.poll(() => failures().length, WAIT).toBeGreaterThan(1);
    expect(failures().map(({ fields }) => fields)).toMatchObject([
      { publisher: 'p', reason: expect.stringMatching(/nobody takes that bundle/), retry_in_ms: 1000 },
      { retry_in_ms: 2000 },
    ]);
  });
}

describe('a plugin of our SDK', () => contract(ours));
describeWithGo('a plugin of SPIRE’s SDK', () => {
  contract(inGo);

  test('that does not implement the advice stops the start, as in SPIRE', async () => {
    await expect(start(`Notifier "n" { ${await inGo('notifier', 'silent')} }`)).rejects.toThrow(/not implemented/);
  });
});
