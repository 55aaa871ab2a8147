import { writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { formatBundleDocument } from '../../src/spiffe/bundle-document.ts';
import { TestAuthority } from '../../src/testing/test-authority.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { ServerProcess } from './server-process.ts';

const resources = new AsyncDisposableStack();
const authority = await TestAuthority.create('other.test');
const pem = encodePem('CERTIFICATE', authority.certificate.der);
const document = formatBundleDocument({ ...authority.bundle(), refreshHintSeconds: 60, sequenceNumber: 2n ** 60n });
let folder: TemporaryFolder;
let server: ServerProcess;
beforeAll(async () => {
  folder = resources.use(await createTemporaryFolder());
  server = resources.use(await ServerProcess.start({ folder: folder.path }));
  await writeFile(folder.join('other.pem'), pem);
  await writeFile(folder.join('other.json'), document);
});
afterAll(() => resources.disposeAsync());

const ok = (stdout: string) => ({ code: 0, stdout, stderr: '' });
const failed = (message: string | RegExp) => ({
  code: 1,
  stdout: '',
  stderr: typeof message === 'string' ? `Error: ${message}\n` : expect.stringMatching(message),
});
const RULE = '****************************************';

describe('bundle', () => {
  test('set, list, count and delete, in PEM and as a SPIFFE bundle', async () => {
    expect(await server.run(['bundle', 'set', '-id', 'other.test'], { input: pem })).toEqual(ok('bundle set.\n'));
    expect(await server.run(['bundle', 'list', '-id', 'spiffe://other.test'])).toEqual(ok(pem));
    const path = ['-path', folder.join('other.json'), '-format', 'spiffe'];
    expect(await server.run(['bundle', 'set', '-id', 'spiffe://second.test', ...path])).toEqual(ok('bundle set.\n'));
    expect(await server.run(['bundle', 'list'])).toEqual(
      ok(`${RULE}\n* other.test\n${RULE}\n${pem}\n${RULE}\n* second.test\n${RULE}\n${pem}`),
    );
    expect(await server.run(['bundle', 'list', '-id', 'second.test', '-format', 'spiffe'])).toEqual(ok(document));
    expect(await server.run(['bundle', 'count'])).toEqual(ok('3 bundles\n'));
    const { json } = await server.runJson(['bundle', 'list']);
    expect(json.bundles).toMatchObject([{ trust_domain: 'other.test' }, { sequence_number: String(2n ** 60n) }]);
    expect(await server.run(['bundle', 'delete', '-id', 'second.test', '-mode', 'delete'])).toEqual(
      ok('bundle deleted.\n'),
    );
    expect(await server.run(['bundle', 'delete', '-id', 'second.test'])).toEqual(
      failed('failed to delete federated bundle "second.test": bundle not found'),
    );
  });

  test('delete leaves one that entries federate with, unless told otherwise', async () => {
    await server.run(['bundle', 'set', '-id', 'used.test'], { input: pem });
    const entry = [
      '-parentID',
      'spiffe://example.org/node',
      '-spiffeID',
      'spiffe://example.org/a',
      '-selector',
      'unix:uid:1',
    ];
    expect((await server.run(['entry', 'create', ...entry, '-federatesWith', 'used.test'])).code).toBe(0);
    const remove = (...mode: readonly string[]) => server.run(['bundle', 'delete', '-id', 'used.test', ...mode]);
    expect(await remove()).toEqual(
      failed(/^Error: failed to delete federated bundle "used\.test": .*1 registration entries/),
    );
    expect(await remove('-mode', 'dissociate')).toEqual(ok('bundle deleted.\n'));
  });

  test.each([
    [['bundle', 'set', '-id', 'x.test'], 'no bundle', /bundle has no PEM block "CERTIFICATE"/],
    [['bundle', 'set', '-id', 'example.org'], pem, /setting a federated bundle for the server's own trust domain/],
    [['bundle', 'list', '-id', 'none.test'], '', /bundle not found/],
  ] as const)('%j says what is wrong', async (args, input, message) => {
    expect(await server.run(args, { input })).toMatchObject({ code: 1, stderr: expect.stringMatching(message) });
  });
});

describe('federation', () => {
  const web = ['-bundleEndpointURL', 'https://127.0.0.1:1/', '-bundleEndpointProfile', 'https_web'];
  const shown = (trustDomain: string) =>
    `Trust domain              : ${trustDomain}
Bundle endpoint URL       : https://127.0.0.1:1/
Bundle endpoint profile   : https_web
`;

  test('create, show, list, update, refresh and delete', async () => {
    expect(await server.run(['federation', 'create', '-trustDomain', 'web.test', ...web])).toEqual(
      ok(`\n${shown('web.test')}`),
    );
    expect(await server.run(['federation', 'show', '-trustDomain', 'web.test'])).toEqual(
      ok(`Found a federation relationship with trust domain web.test:\n\n${shown('web.test')}`),
    );
    const spiffe = [
      ...['-bundleEndpointURL', 'https://localhost:2/', '-bundleEndpointProfile', 'https_spiffe'],
      ...['-endpointSpiffeID', 'spiffe://web.test/server', '-trustDomainBundlePath', folder.join('other.pem')],
    ];
    const updated = `Trust domain              : web.test
Bundle endpoint URL       : https://localhost:2/
Bundle endpoint profile   : https_spiffe
Endpoint SPIFFE ID        : spiffe://web.test/server
`;
    expect(await server.run(['federation', 'update', '-trustDomain', 'web.test', ...spiffe])).toEqual(
      ok(`\n${updated}`),
    );
    expect(await server.run(['federation', 'list'])).toEqual(ok(`Found 1 federation relationship\n\n${updated}`));
    expect(await server.run(['bundle', 'list', '-id', 'web.test'])).toEqual(ok(pem));
    expect(await server.run(['federation', 'refresh', '-id', 'web.test'])).toEqual(
      failed(/failed to refresh bundle: cannot connect to localhost port 2/),
    );
    const { json } = await server.runJson(['federation', 'show', '-trustDomain', 'web.test']);
    expect(json).toMatchObject({
      trust_domain: 'web.test',
      bundle_endpoint_url: 'https://localhost:2/',
      https_spiffe: { endpoint_spiffe_id: 'spiffe://web.test/server' },
      trust_domain_bundle: { trust_domain: 'web.test' },
    });
    expect(await server.run(['federation', 'delete', '-id', 'web.test'])).toEqual(
      ok('federation relationship deleted.\n'),
    );
    expect(await server.run(['federation', 'list'])).toEqual(ok('Found 0 federation relationships\n'));
    expect(await server.run(['federation', 'refresh', '-id', 'web.test'])).toEqual(
      failed('there is no federation relationship with trust domain "web.test"'),
    );
    expect(await server.run(['federation', 'delete', '-id', 'web.test'])).toEqual(
      failed('failed to delete federation relationship "web.test": federation relationship not found'),
    );
  });

  test('create and update take a file, with what failed among its items', async () => {
    const item = { bundleEndpointURL: 'https://127.0.0.1:1/', bundleEndpointProfile: 'https_web' };
    const data = JSON.stringify({
      federationRelationships: [
        { ...item, trustDomain: 'f1.test', trustDomainBundle: pem, trustDomainBundleFormat: 'pem' },
        {
          ...item,
          trustDomain: 'f2.test',
          trustDomainBundle: JSON.parse(formatBundleDocument(authority.bundle())),
          trustDomainBundleFormat: 'spiffe',
        },
        { ...item, trustDomain: 'example.org' },
      ],
    });
    const result = await server.run(['federation', 'create', '-data', '-'], { input: data });
    expect(result).toEqual({
      code: 1,
      stdout: `\n${shown('f1.test')}\n${shown('f2.test')}`,
      stderr: `
Failed to create the following federation relationship (code: InvalidArgument, msg: "unable to create federation relationship for server trust domain"):
${shown('example.org')}Error: failed to create one or more federation relationships
`,
    });
    expect(await server.run(['bundle', 'list', '-id', 'f2.test'])).toEqual(ok(pem));
    const again = await server.run(['federation', 'update', '-data', '-'], { input: data });
    expect(again).toMatchObject({ code: 1, stdout: result.stdout, stderr: expect.stringMatching(/code: NotFound/) });
  });
});
