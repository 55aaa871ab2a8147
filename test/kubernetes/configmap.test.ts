import { afterAll, beforeAll, expect, test } from 'vitest';
import { LocalAuthorityDefinition } from '../../src/gen/spire/api/server/localauthority/v1/localauthority.ts';
import type { Bundle } from '../../src/spiffe/bundle.ts';
import { formatBundlePem, parseBundleDocument, parseBundlePem } from '../../src/spiffe/bundle-document.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { TestAuthority } from '../../src/testing/test-authority.ts';
import { TestDomain } from '../agent/test-domain.ts';
import { builtinPlugins } from '../harness/built-programs.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { JOIN_TOKEN, pluginConfig, SQL, TestHost } from '../plugin-host/go-plugins.ts';
import { ApiRelay } from './api-relay.ts';
import { ApiServer } from './api-server.ts';
import { createServerAccount, NAMESPACE, RIGHTS } from './psat-objects.ts';
import { record } from './record.ts';

const trustDomain = parseTrustDomain('example.org');
const { signal } = new AbortController();
const resources = new AsyncDisposableStack();
let folder: TemporaryFolder;
let authority: TestAuthority;
let api: ApiServer;
let relay: ApiRelay;
let bundle: Bundle;

beforeAll(async () => {
  folder = resources.use(await createTemporaryFolder());
  authority = resources.use(await TestAuthority.create('cluster.example'));
  bundle = resources.use(await TestAuthority.create()).bundle();
  api = resources.use(await ApiServer.start(folder, authority));
  relay = resources.use(await ApiRelay.start(api, authority));
  await api.ask('POST', '/api/v1/namespaces', { metadata: { name: NAMESPACE } });
  for (const [name, rights] of [['publisher', RIGHTS.publish] as const, ['nobody', []] as const]) {
    const token = await createServerAccount(api, name, rights);
    await api.writeKubeconfig(folder.join(name), { token, port: relay.port });
  }
}, 300_000);
afterAll(() => resources.disposeAsync());

interface Entry {
  readonly id: string;
  readonly configmap: string;
  readonly key?: string;
  readonly format?: string;
  readonly namespace?: string;
  readonly account?: string;
  readonly more?: string;
}

const dataOf = (...entries: readonly Entry[]) => `clusters = {
${entries
  .map(
    ({ id, configmap, key = 'bundle', format = 'spiffe', namespace = NAMESPACE, account = 'publisher', more = '' }) =>
      `  "${id}" = {
    configmap_name = "${configmap}"
    configmap_key = "${key}"
    namespace = "${namespace}"
    kubeconfig_path = "${folder.join(account)}"
    format = "${format}"
    ${more}
  }`,
  )
  .join(',\n')}
}`;

async function publish(...entries: readonly Entry[]): Promise<void> {
  const publisher = pluginConfig({
    type: 'BundlePublisher',
    name: 'k8s_configmap',
    data: { text: dataOf(...entries) },
  });
  const plugins = [SQL, JOIN_TOKEN, pluginConfig({ type: 'KeyManager', name: 'memory' }), publisher];
  await using catalog = await new TestHost().load('server', plugins, { builtins: builtinPlugins('server') });
  for (const each of catalog.bundlePublishers) await each.publishBundle(bundle, signal);
}

const pathOf = (name: string) => `/api/v1/namespaces/${NAMESPACE}/configmaps/${name}`;
async function readData(name: string): Promise<Readonly<Record<string, string>>> {
  return ((await api.ask('GET', pathOf(name))) as { data?: Record<string, string> }).data ?? {};
}

test('three formats in one ConfigMap, beside what others have there', async () => {
  await api.ask('POST', `/api/v1/namespaces/${NAMESPACE}/configmaps`, {
    metadata: { name: 'formats' },
    data: { motto: 'theirs' },
  });
  await record(relay, 'configmap-formats', () =>
    publish(
      { id: 'a', configmap: 'formats', key: 'bundle.spiffe', more: 'refresh_hint = "10m"' },
      { id: 'b', configmap: 'formats', key: 'bundle.pem', format: 'pem' },
      { id: 'c', configmap: 'formats', key: 'bundle.jwks', format: 'jwks' },
    ),
  );
  const data = await readData('formats');
  expect(Object.keys(data).toSorted()).toEqual(['bundle.jwks', 'bundle.pem', 'bundle.spiffe', 'motto']);
  expect(parseBundleDocument(data['bundle.spiffe'] ?? '', trustDomain).refreshHintSeconds).toBe(600);
  expect(data['bundle.pem']).toBe(formatBundlePem(bundle));
  expect(data['bundle.jwks']).not.toContain('"use"');
});

test('a key that somebody else has set is left alone, unless it may be taken over', async () => {
  await api.ask('POST', `/api/v1/namespaces/${NAMESPACE}/configmaps`, {
    metadata: { name: 'owned' },
    data: { bundle: 'theirs' },
  });
  await expect(record(relay, 'configmap-conflict', () => publish({ id: 'a', configmap: 'owned' }))).rejects.toThrow(
    /somebody else has set the key: .*conflict.*force_conflicts/,
  );
  expect(await readData('owned')).toEqual({ bundle: 'theirs' });
  await record(relay, 'configmap-forced', () =>
    publish({ id: 'a', configmap: 'owned', format: 'pem', more: 'force_conflicts = true' }),
  );
  expect(await readData('owned')).toEqual({ bundle: formatBundlePem(bundle) });
});

test('each failure is told, and the other ConfigMaps are written all the same', async () => {
  const lost = { id: 'lost', configmap: 'c', namespace: 'nowhere' };
  const forbidden = { id: 'forbidden', configmap: 'c', account: 'nobody' };
  await expect(record(relay, 'configmap-no-namespace', () => publish(lost))).rejects.toThrow(
    /namespaces "nowhere" not found/,
  );
  await expect(record(relay, 'configmap-forbidden', () => publish(forbidden))).rejects.toThrow(/status 403/);
  await expect(publish(lost, forbidden, { id: 'good', configmap: 'good' })).rejects.toThrow(
    /cluster "lost", ConfigMap "nowhere\/c": .*not found.*cluster "forbidden".*status 403.*"patch" and "create" on "configmaps"/,
  );
  expect(Object.keys(await readData('good'))).toEqual(['bundle']);
});

test('a server writes its bundle, and writes it again once an authority is added', async () => {
  await using domain = await TestDomain.start({
    plugins: `KeyManager "memory" {}
  NodeAttestor "join_token" {}
  BundlePublisher "k8s_configmap" { plugin_data { ${dataOf({ id: 'a', configmap: 'live', format: 'pem' })} } }`,
  });
  const authorities = async () => {
    const { bundle: text = '' } = await readData('live').catch(() => ({ bundle: '' }));
    return text === '' ? [] : parseBundlePem(text, trustDomain).x509Authorities;
  };
  await expect.poll(authorities).toHaveLength(1);
  await record(relay, 'configmap-rewritten', async () => {
    await domain.server.admin(LocalAuthorityDefinition).prepareX509Authority({});
    await expect.poll(authorities).toHaveLength(2);
  });
  await api.ask('DELETE', pathOf('live'));
  await domain.server.admin(LocalAuthorityDefinition).prepareX509Authority({});
  await expect.poll(async () => (await authorities()).length).toBeGreaterThan(1);
});
