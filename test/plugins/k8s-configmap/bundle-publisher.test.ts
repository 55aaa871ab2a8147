import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readConfigText } from '../../../src/config/read-config.ts';
import { Logger } from '../../../src/log/logger.ts';
import type { PluginCatalog } from '../../../src/plugin-host/catalog.ts';
import { applyConfigMap } from '../../../src/plugins/k8s-configmap/apply-config-map.ts';
import { configMapConfig } from '../../../src/plugins/k8s-configmap/config.ts';
import { openState } from '../../../src/plugins/k8s-configmap/targets.ts';
import type { Bundle } from '../../../src/spiffe/bundle.ts';
import { formatBundlePem, parseBundleDocument } from '../../../src/spiffe/bundle-document.ts';
import { parseTrustDomain } from '../../../src/spiffe/trust-domain.ts';
import { TestAuthority } from '../../../src/testing/test-authority.ts';
import { builtinPlugins } from '../../harness/built-programs.ts';
import { TestServer } from '../../harness/running-server.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../harness/temporary-folder.ts';
import { JOIN_TOKEN, pluginConfig, SQL, TestHost } from '../../plugin-host/go-plugins.ts';
import { type Answer, ApiStandIn, sendJson } from '../kubernetes/api-stand-in.ts';
import { recordedExchanges } from '../kubernetes/exchange.ts';

// The plugin as a server runs it, in its sandbox.
const resources = new AsyncDisposableStack();
const trustDomain = parseTrustDomain('example.org');
const { signal } = new AbortController();
let folder: TemporaryFolder;
let api: ApiStandIn;
let bundle: Bundle;
let next: Bundle;

beforeAll(async () => {
  folder = resources.use(await createTemporaryFolder());
  api = resources.use(await ApiStandIn.start(resources.use(await TestAuthority.create())));
  await api.writeKubeconfig(folder.join('one'));
  await api.writeKubeconfig(folder.join('two'));
  bundle = resources.use(await TestAuthority.create()).bundle();
  const { x509Authorities } = resources.use(await TestAuthority.create()).bundle();
  next = { ...bundle, x509Authorities: [...bundle.x509Authorities, ...x509Authorities], sequenceNumber: 2n };
});
afterAll(() => resources.disposeAsync());
beforeEach(() => {
  api.forget();
  api.answer = keep;
});

/** Takes what it is given. */
const keep: Answer = (response) => sendJson(response, 200, JSON.parse(api.arrived.at(-1)?.body ?? ''));

const entry = (id: string, more: string, kubeconfig = 'one') => `"${id}" = {
    namespace = "spire"
    configmap_name = "bundle"
    kubeconfig_path = "${folder.join(kubeconfig)}"
    ${more}
  }`;
const dataOf = (...entries: readonly string[]) => `clusters = {\n  ${entries.join(',\n  ')}\n}`;

async function load(text: string): Promise<PluginCatalog> {
  const publisher = pluginConfig({ type: 'BundlePublisher', name: 'k8s_configmap', data: { text } });
  const plugins = [SQL, JOIN_TOKEN, pluginConfig({ type: 'KeyManager', name: 'memory' }), publisher];
  return await new TestHost().load('server', plugins, { builtins: builtinPlugins('server') });
}

const publish = (catalog: PluginCatalog, what: Bundle) => catalog.bundlePublishers[0]?.publishBundle(what, signal);
const applied = () =>
  api.arrived.map(({ path, body }) => ({ path, data: JSON.parse(body).data as Record<string, string> }));

test('each ConfigMap gets all of its keys at once, and the same bundle is published once', async () => {
  await using catalog = await load(
    dataOf(
      entry('a', 'configmap_key = "bundle.json"\nformat = "spiffe"\nrefresh_hint = "90s"'),
      entry('b', 'configmap_key = "bundle.pem"\nformat = "PEM"'),
      entry('c', 'configmap_key = "bundle.pem"\nformat = "pem"', 'two'),
    ),
  );
  await publish(catalog, bundle);
  await publish(catalog, bundle);
  expect(applied().map(({ data }) => Object.keys(data))).toEqual(
    expect.arrayContaining([['bundle.json', 'bundle.pem'], ['bundle.pem']]),
  );
  expect(api.arrived).toHaveLength(2);
  expect(api.arrived[0]).toMatchObject({
    method: 'PATCH',
    path: '/api/v1/namespaces/spire/configmaps/bundle?fieldManager=spire-bundlepublisher-k8s_configmap&force=false',
    contentType: 'application/apply-patch+yaml',
    authorization: 'Bearer secret',
  });
  const [{ data = {} } = {}] = applied().filter(({ data: keys }) => 'bundle.json' in keys);
  expect(data['bundle.pem']).toBe(formatBundlePem(bundle));
  expect(parseBundleDocument(data['bundle.json'] ?? '', trustDomain)).toEqual({ ...bundle, refreshHintSeconds: 90 });
  api.forget();
  await publish(catalog, next);
  expect(applied()).toHaveLength(2);
});

test('one that failed is published again, and those that did not are not', async () => {
  await using catalog = await load(
    dataOf(
      entry('good', 'configmap_key = "a"\nformat = "jwks"'),
      entry('bad', 'configmap_key = "a"\nformat = "pem"', 'two').replace('"spire"', '"other"'),
    ),
  );
  api.answer = (response, request) =>
    request.url?.includes('/other/') === true ? response.writeHead(503).end() : keep(response, request);
  await expect(publish(catalog, bundle)).rejects.toThrow(/cluster "bad", ConfigMap "other\/bundle": .*status 503/);
  await expect(publish(catalog, bundle)).rejects.not.toThrow(/good/);
  api.answer = keep;
  await publish(catalog, bundle);
  expect(applied().filter(({ path }) => path.includes('/spire/'))).toHaveLength(1);
  expect(applied().filter(({ path }) => path.includes('/other/'))).toHaveLength(3);
});

test('a server tries again until its bundle is published', async () => {
  let answers = 0;
  api.answer = (response, request) => {
    answers += 1;
    if (answers < 3) response.writeHead(500).end();
    else keep(response, request);
  };
  await using own = await createTemporaryFolder();
  const data = dataOf(entry('a', 'configmap_key = "a"\nformat = "pem"'));
  await using server = await TestServer.start({
    folder: own.path,
    plugins: `KeyManager "memory" {}\nNodeAttestor "join_token" {}\nBundlePublisher "k8s_configmap" { plugin_data { ${data} } }`,
  });
  await expect.poll(() => applied().at(-1)?.data.a).toBe(formatBundlePem(server.running.bundle));
  await expect.poll(() => answers).toBeGreaterThan(2);
  expect(server.records.filter(({ message }) => message === 'a bundle was not published')).toHaveLength(2);
});

describe('by what a real API server answered', () => {
  async function apply(name: string, more = '') {
    api.replay(recordedExchanges(name));
    const [found] = recordedExchanges(name);
    const [, namespace = '', configmap = ''] = /namespaces\/([^/]+)\/configmaps\/([^?]+)/.exec(found?.path ?? '') ?? [];
    const text = dataOf(
      entry('a', `configmap_key = "bundle"\nformat = "pem"\n${more}`)
        .replace('"spire"', `"${namespace}"`)
        .replace('"bundle"', `"${configmap}"`),
    );
    const config = readConfigText(configMapConfig, text, { source: 'plugin_data' });
    using state = await openState(config, { log: new Logger(() => {}) });
    const [target] = state.targets;
    const body = found?.body as { data?: Record<string, string> } | undefined;
    const kept = body?.data ?? { bundle: 'x' };
    if (target !== undefined) await applyConfigMap(target, kept, signal);
  }

  test('a ConfigMap that was applied', async () => {
    await apply('configmap-formats');
    await apply('configmap-forced', 'force_conflicts = true');
  });

  test('a key that somebody else has set', async () => {
    await expect(apply('configmap-conflict')).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(/somebody else has set the key: .*conflict with .*force_conflicts = true/),
    });
  });

  test('a namespace that is not there', async () => {
    await expect(apply('configmap-no-namespace')).rejects.toThrow(/status 404: namespaces "nowhere" not found/);
  });

  test('a right that is not given', async () => {
    await expect(apply('configmap-forbidden')).rejects.toThrow(
      /status 403\): .*cannot patch resource "configmaps".*; allow it "patch" and "create" on "configmaps"/,
    );
  });
});

test('an API server that keeps something else is found out', async () => {
  await using catalog = await load(dataOf(entry('a', 'configmap_key = "a"\nformat = "pem"')));
  api.answer = (response) => sendJson(response, 200, { kind: 'ConfigMap', data: { a: 'other' } });
  await expect(publish(catalog, bundle)).rejects.toThrow(/keeps something else under "a": does an admission webhook/);
  api.answer = (response) =>
    sendJson(response, 409, { kind: 'Status', reason: 'Conflict', message: 'the object has been modified' });
  await expect(publish(catalog, bundle)).rejects.toThrow(/the ConfigMap changed at the same moment/);
});

const read = (text: string) => readConfigText(configMapConfig, text, { source: 'plugin_data' });
const KEYS = 'namespace = "spire"\nconfigmap_name = "bundle"\nconfigmap_key = "a"';

test.each([
  [`clusters = { "a" = { ${KEYS} } }`, /clusters\.a\.format: must be one of "spiffe", "jwks", "pem"/],
  [`clusters = { "a" = { ${KEYS}\nformat = "der" } }`, /must be one of "spiffe", "jwks", "pem"/],
  ['clusters = { "a" = { format = "pem" } }', /configmap_name: .*required/],
  [`clusters = { "a" = { ${KEYS.replace('"spire"', '"a/b"')}\nformat = "pem" } }`, /must be the name of a namespace/],
  [`clusters = { "a" = { ${KEYS.replace('"bundle"', '"Bundle"')}\nformat = "pem" } }`, /must be the name of an object/],
  [`clusters = { "a" = { ${KEYS.replace('"a"', '".."')}\nformat = "pem" } }`, /must be a key of a ConfigMap/],
  [
    `clusters = { "a" = { ${KEYS}\nformat = "pem"\nrefresh_hint = "soon" } }`,
    /refresh_hint: must be a number and a unit/,
  ],
  [
    `clusters = { "a" = { ${KEYS}\nformat = "pem" }, "b" = { ${KEYS}\nformat = "jwks" } }`,
    /clusters\.b\.configmap_key: is the same key of the same ConfigMap as that of "a"/,
  ],
])('%s is refused with what to do', (text, message) => {
  expect(() => read(text)).toThrow(message);
});
