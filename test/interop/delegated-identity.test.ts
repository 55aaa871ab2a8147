import { copyFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { BundleDefinition } from '../../src/gen/spire/api/server/bundle/v1/bundle.ts';
import { MYSELF, TestDomain } from '../agent/test-domain.ts';
import { TestProcess } from '../harness/child-process.ts';
import { buildGo } from '../harness/go.ts';
import { describeWithGo } from '../harness/requires.ts';
import { diskKeys } from '../harness/running-agent.ts';

vi.setConfig({ testTimeout: 90_000, hookTimeout: 600_000 });

const MODULE = fileURLToPath(new URL('./server-api', import.meta.url));
const METHODS = ['SubscribeToX509SVIDs', 'SubscribeToX509Bundles', 'FetchJWTSVIDs', 'SubscribeToJWTBundles'] as const;
const WEB = { type: 'vault', value: 'web' };

describeWithGo('delegates of spire-api-sdk 1.15.2', () => {
  const resources = new AsyncDisposableStack();
  let domain: TestDomain;
  let socket: string;
  let expelled: string;

  beforeAll(async () => {
    domain = resources.use(await TestDomain.start({ settings: 'default_x509_svid_ttl = "10s"' }));
    const executable = await buildGo(MODULE, 'delegate');
    for (const name of ['delegate', 'expelled', 'workload', 'nobody']) {
      await copyFile(executable, domain.folder.join(name));
    }
    expelled = await createEntryOfProgram('expelled');
    await createEntryOfProgram('delegate');
    await createEntryOfProgram('workload');
    await copyFile('/bin/sleep', domain.folder.join('sleeper'));
    await createEntryOfProgram('sleeper');
    await domain.createEntry('/first', { selectors: [WEB], admin: true, hint: 'web' }); // which does not take the hint away
    await domain.createEntry('/web', { selectors: [WEB], hint: 'web' });
    await domain.createEntry('/admin', { selectors: [WEB], admin: true });
    await domain.createEntry('/below', { selectors: [WEB], downstream: true });
    await domain.createEntry('/only-admin', { selectors: [{ type: 'vault', value: 'root' }], admin: true });
    const folder = domain.folder.join('agent');
    socket = `${folder}/admin/admin.sock`;
    resources.use(
      await domain.startAgent('agent', {
        settings: `join_token = "${await domain.createToken()}"
  admin_socket_path = "${socket}"
  authorized_delegates = ["spiffe://example.org/delegate", "spiffe://example.org/expelled"]`,
        plugins: `${diskKeys(folder)}
  NodeAttestor "join_token" {}
  WorkloadAttestor "unix" { plugin_data { discover_workload_path = true } }`,
      }),
    );
  });
  afterAll(() => resources.disposeAsync());

  async function createEntryOfProgram(name: string): Promise<string> {
    const selectors = [MYSELF, { type: 'unix', value: `path:${domain.folder.join(name)}` }];
    return await domain.createEntry(`/${name}`, { selectors });
  }

  async function start(program: string, ...args: readonly string[]): Promise<TestProcess> {
    return await TestProcess.start(domain.folder.join(program), ['-socket', socket, ...args]);
  }

  async function readJson(running: TestProcess): Promise<unknown> {
    const line = await running.readLine();
    return line === undefined ? undefined : JSON.parse(line);
  }

  async function ask(program: string, ...args: readonly string[]): Promise<unknown> {
    await using running = await start(program, ...args);
    return await readJson(running);
  }

  const idOf = (name: string) => ({ id: `spiffe://example.org/${name}`, serial: expect.any(String) });
  const identities = (...all: readonly object[]) => ({
    identities: all.map((one) => expect.objectContaining(one)),
    federatesWith: null,
  });

  const all = (code: string) => Object.fromEntries(METHODS.map((method) => [method, code]));
  const ofWorkload = (code: string) => ({ ...all('OK'), SubscribeToX509SVIDs: code, FetchJWTSVIDs: code });
  const callers: readonly (readonly [caller: string, asks: string, args: readonly string[], outcome: object])[] = [
    ['delegate', 'for a workload’s selectors', ['-selectors', 'vault:web'], all('OK')],
    ['workload', 'for a workload’s selectors', ['-selectors', 'vault:web'], all('PermissionDenied')],
    ['nobody', 'for a workload’s selectors', ['-selectors', 'vault:web'], all('PermissionDenied')],
    ['workload', 'for nothing', [], all('PermissionDenied')],
    ['delegate', 'for nothing', [], ofWorkload('InvalidArgument')],
    ['delegate', 'for selectors and a process', ['-selectors', 'a:b', '-pid', '1'], ofWorkload('InvalidArgument')],
    ['delegate', 'for a selector without a value', ['-selectors', 'vault'], ofWorkload('InvalidArgument')],
    ['delegate', 'for a negative process ID', ['-pid', '-5'], ofWorkload('InvalidArgument')],
    ['delegate', 'for a process that is not there', ['-pid', '2147483647'], ofWorkload('NotFound')],
    [
      'delegate',
      'for 1,001 selectors',
      ['-selectors', Array.from({ length: 1001 }, (_, index) => `vault:${index}`).join(',')],
      ofWorkload('InvalidArgument'),
    ],
    [
      'delegate',
      'without an audience',
      ['-selectors', 'vault:web', '-audience', ''],
      { ...all('OK'), FetchJWTSVIDs: 'InvalidArgument' },
    ],
    [
      'delegate',
      'for a workload without identity',
      ['-selectors', 'vault:none'],
      { ...all('OK'), FetchJWTSVIDs: 'PermissionDenied' },
    ],
    [
      'delegate',
      'for an administrator',
      ['-selectors', 'vault:root'],
      { ...all('OK'), FetchJWTSVIDs: 'PermissionDenied' },
    ],
  ];
  test.each(callers)('%s asks %s', async (caller, _asks, args, outcome) => {
    expect(await ask(caller, '-what', 'codes', ...args)).toEqual(outcome);
  });

  test('a workload learns why it is no delegate', async () => {
    expect(await ask('workload', '-selectors', 'vault:web')).toEqual({
      code: 'PermissionDenied',
      message: 'the caller is spiffe://example.org/workload, which is not among the authorized_delegates of this agent',
    });
  });

  test('identities of selectors, again as they are renewed, and never those of administrators or servers below', async () => {
    await using delegate = await start('delegate', '-selectors', 'vault:web');
    const serials = new Set<unknown>();
    for (let update = 0; update < 3; update++) {
      const line = await readJson(delegate);
      expect(line).toEqual(identities({ ...idOf('web'), hint: 'web' }));
      serials.add(JSON.stringify(line));
    }
    expect(serials.size).toBe(3);
  });

  test('an entry that comes, and none once it is deleted', async () => {
    await using delegate = await start('delegate', '-selectors', 'vault:later');
    expect(await readJson(delegate)).toEqual(identities());
    const id = await domain.createEntry('/later', { selectors: [{ type: 'vault', value: 'later' }] });
    expect(await readJson(delegate)).toEqual(identities(idOf('later')));
    await domain.deleteEntry(id);
    expect(await readJson(delegate)).toEqual(identities());
  });

  test('an administrator’s entry is as good as none', async () => {
    expect(await ask('delegate', '-selectors', 'vault:root')).toEqual(identities());
  });

  test('identities of a process, until it ends', async () => {
    await using sleeper = await TestProcess.start(domain.folder.join('sleeper'), ['600']);
    await using delegate = await start('delegate', '-pid', String(sleeper.pid));
    expect(await readJson(delegate)).toEqual(identities(idOf('sleeper')));
    await sleeper.kill();
    let last = await readJson(delegate);
    while (typeof last === 'object' && last !== null && 'identities' in last) last = await readJson(delegate);
    expect(last).toEqual({ code: 'NotFound', message: `process ${sleeper.pid} has ended` });
  });

  test('tokens of a process and of selectors, which go-spiffe validates', async () => {
    await using sleeper = await TestProcess.start(domain.folder.join('sleeper'), ['600']);
    const token = { same: true, audience: ['db', 'extra'], seconds: 300 };
    expect(await ask('delegate', '-what', 'jwt', '-pid', String(sleeper.pid), '-audience', 'db,extra')).toEqual({
      tokens: [{ ...token, id: 'spiffe://example.org/sleeper', hint: '' }],
    });
    expect(await ask('delegate', '-what', 'jwt', '-selectors', 'vault:web', '-audience', 'db,extra')).toEqual({
      tokens: [{ ...token, id: 'spiffe://example.org/web', hint: 'web' }],
    });
  });

  test('bundles of the trust domain and of those that any entry federates with, as they come and go', async () => {
    await using x509 = await start('delegate', '-what', 'x509-bundles');
    await using jwt = await start('delegate', '-what', 'jwt-bundles');
    const read = async () => [await readJson(x509), await readJson(jwt)];
    const bundlesOf = (...names: readonly string[]) => {
      const counts = Object.fromEntries(names.map((name) => [`spiffe://${name}`, 1]));
      return [{ x509: counts }, { jwt: counts }];
    };
    expect(await read()).toEqual(bundlesOf('example.org'));
    const api = domain.server.admin(BundleDefinition);
    const own = await api.getBundle({ outputMask: undefined });
    await api.batchSetFederatedBundle({ bundle: [{ ...own, trustDomain: 'partner.org' }], outputMask: undefined });
    const selectors = [{ type: 'vault', value: 'federated' }];
    const id = await domain.createEntry('/federated', { selectors, federatesWith: ['partner.org'] });
    expect(await read()).toEqual(bundlesOf('example.org', 'partner.org'));
    expect(await ask('delegate', '-selectors', 'vault:federated')).toEqual({
      identities: [expect.objectContaining(idOf('federated'))],
      federatesWith: ['spiffe://partner.org'],
    });
    await domain.deleteEntry(id);
    expect(await read()).toEqual(bundlesOf('example.org'));
  });

  test('a delegate that is expelled loses its streams at once', async () => {
    await using svids = await start('expelled', '-selectors', 'vault:none');
    await using bundles = await start('expelled', '-what', 'x509-bundles');
    expect(await readJson(svids)).toEqual(identities());
    expect(await readJson(bundles)).toEqual({ x509: { 'spiffe://example.org': 1 } });
    await domain.deleteEntry(expelled);
    const refusal = { code: 'PermissionDenied', message: 'no identity issued' };
    expect([await readJson(svids), await readJson(bundles)]).toEqual([refusal, refusal]);
  });
});
