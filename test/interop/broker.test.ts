import { copyFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { MYSELF, TestDomain } from '../agent/test-domain.ts';
import { TestProcess } from '../harness/child-process.ts';
import { buildGo } from '../harness/go.ts';
import { describeWithGo } from '../harness/requires.ts';
import { diskKeys, type TestAgent } from '../harness/running-agent.ts';

vi.setConfig({ testTimeout: 90_000, hookTimeout: 600_000 });

const MODULE = fileURLToPath(new URL('./server-api', import.meta.url));
const METHODS = ['SubscribeToX509SVID', 'SubscribeToX509Bundles', 'FetchJWTSVID', 'SubscribeToJWTBundles'] as const;
const PROCESS = 'type.googleapis.com/spiffe.broker.WorkloadPIDReference';

describeWithGo('brokers of go-spiffe 2.9.0', () => {
  const resources = new AsyncDisposableStack();
  let domain: TestDomain;
  let agent: TestAgent;
  let sleeper: TestProcess;
  let administrator: TestProcess;
  let targets: Readonly<Record<'unix' | 'tcp', string>>;

  beforeAll(async () => {
    domain = resources.use(await TestDomain.start({ settings: 'default_x509_svid_ttl = "10s"' }));
    const executable = await buildGo(MODULE, 'broker');
    for (const name of ['broker', 'far-broker', 'any-broker', 'workload']) {
      await copyFile(executable, domain.folder.join(name));
      await createEntryOfProgram(name);
    }
    for (const name of ['sleeper', 'administrator']) await copyFile('/bin/sleep', domain.folder.join(name));
    await createEntryOfProgram('sleeper');
    await createEntryOfProgram('administrator', { admin: true });
    const folder = domain.folder.join('agent');
    const broker = (name: string, type: string, more = '') =>
      `{ id = "spiffe://example.org/${name}", allowed_reference_types = [{ type_url = "${type}" ${more} }] }`;
    agent = resources.use(
      await domain.startAgent('agent', {
        settings: `join_token = "${await domain.createToken()}"
  experimental {
    broker {
      socket_path = "${folder}/broker/api.sock"
      bind_address = "127.0.0.1:0"
      brokers = [
        ${broker('broker', PROCESS)},
        ${broker('far-broker', PROCESS, 'allow_over_tcp = true')},
        ${broker('any-broker', '*')},
      ]
    }
  }`,
        plugins: `${diskKeys(folder)}
  NodeAttestor "join_token" {}
  WorkloadAttestor "unix" { plugin_data { discover_workload_path = true } }`,
      }),
    );
    const opened = agent.records.filter(({ message }) => message === 'the Broker API is served');
    const port = opened.map(({ fields }) => fields.port).find((one) => one !== undefined);
    targets = { unix: `unix:${folder}/broker/api.sock`, tcp: `127.0.0.1:${port}` };
    sleeper = resources.use(await TestProcess.start(domain.folder.join('sleeper'), ['600']));
    administrator = resources.use(await TestProcess.start(domain.folder.join('administrator'), ['600']));
  });
  afterAll(() => resources.disposeAsync());

  async function createEntryOfProgram(name: string, more: { admin?: boolean } = {}): Promise<string> {
    const selectors = [MYSELF, { type: 'unix', value: `path:${domain.folder.join(name)}` }];
    return await domain.createEntry(`/${name}`, { selectors, ...more });
  }

  /** As the program of that name; as `stranger` without an SVID. */
  async function start(program: string, transport: 'unix' | 'tcp', ...args: readonly string[]): Promise<TestProcess> {
    const own = program === 'stranger' ? [] : ['-workload-api', agent.running.socketPath];
    const path = domain.folder.join(program === 'stranger' ? 'broker' : program);
    return await TestProcess.start(path, ['-target', targets[transport], ...own, ...args]);
  }

  async function readJson(running: TestProcess): Promise<unknown> {
    const line = await running.readLine();
    return line === undefined ? undefined : JSON.parse(line);
  }

  async function ask(program: string, transport: 'unix' | 'tcp', ...args: readonly string[]): Promise<unknown> {
    await using running = await start(program, transport, ...args);
    return await readJson(running);
  }

  const sleeping = () => ['-pid', String(sleeper.pid)];
  const callers: readonly (readonly [
    caller: string,
    over: 'unix' | 'tcp',
    asks: string,
    args: () => readonly string[],
    code: string,
  ])[] = [
    ['broker', 'unix', 'for a process', sleeping, 'OK'],
    ['workload', 'unix', 'for a process', sleeping, 'PermissionDenied'],
    ['stranger', 'unix', 'for a process', sleeping, 'Unauthenticated'],
    ['broker', 'tcp', 'for a process', sleeping, 'PermissionDenied'],
    ['far-broker', 'tcp', 'for a process', sleeping, 'OK'],
    ['any-broker', 'tcp', 'for a process', sleeping, 'PermissionDenied'],
    ['workload', 'tcp', 'for a process', sleeping, 'PermissionDenied'],
    ['stranger', 'tcp', 'for a process', sleeping, 'Unauthenticated'],
    ['broker', 'unix', 'without the security header', () => [...sleeping(), '-header=false'], 'InvalidArgument'],
    ['broker', 'unix', 'for nothing', () => [], 'InvalidArgument'],
    ['broker', 'unix', 'for a process that is not there', () => ['-pid', '2147483647'], 'NotFound'],
    ['broker', 'unix', 'for a negative process ID', () => ['-pid', '-1'], 'InvalidArgument'],
    ['broker', 'unix', 'for a Kubernetes object', () => ['-object', 'uid'], 'PermissionDenied'],
    ['any-broker', 'unix', 'for a Kubernetes object', () => ['-object', 'uid'], 'Unimplemented'],
    [
      'any-broker',
      'unix',
      'for a process by another type URL',
      () => [...sleeping(), '-type-url', 'x/spiffe.broker.WorkloadPIDReference'],
      'InvalidArgument',
    ],
  ];
  test.each(callers)('%s asks over %s %s', async (caller, over, _asks, args, code) => {
    const outcome = Object.fromEntries(METHODS.map((method) => [method, code]));
    expect(await ask(caller, over, ...args())).toEqual(outcome);
  });

  test('identities of a process, again as they are renewed, until it ends', async () => {
    const workload = await TestProcess.start(domain.folder.join('sleeper'), ['600']);
    await using _ = workload;
    await using broker = await start('broker', 'unix', '-what', 'svids', '-pid', String(workload.pid));
    const id = 'spiffe://example.org/sleeper';
    const serials = new Set<string>();
    for (let update = 0; update < 2; update++) {
      const line = await readJson(broker);
      expect(line).toEqual({ identities: [{ id, said: id, hint: '', serial: expect.any(String) }] });
      serials.add(JSON.stringify(line));
    }
    expect(serials.size).toBe(2);
    await workload.kill();
    let last = await readJson(broker);
    while (typeof last === 'object' && last !== null && 'identities' in last) last = await readJson(broker);
    expect(last).toEqual({ code: 'NotFound', message: `process ${workload.pid} has ended` });
  });

  test('a broker’s stream ends with the SVID that it connected with', async () => {
    await using broker = await start('broker', 'unix', '-what', 'svids', ...sleeping());
    let last = await readJson(broker);
    while (typeof last === 'object' && last !== null && 'identities' in last) last = await readJson(broker);
    expect(last).toEqual({ code: 'Unauthenticated', message: expect.stringContaining('is not valid any more') });
  });

  test('an administrator’s identity is nobody else’s', async () => {
    const pid = ['-pid', String(administrator.pid)];
    expect(await ask('broker', 'unix', '-what', 'svids', ...pid)).toEqual({ identities: [] });
    const refusal = { code: 'PermissionDenied', message: 'no identity issued' };
    expect(await ask('broker', 'unix', '-what', 'jwt', ...pid)).toEqual(refusal);
  });

  test('tokens, all or one by its SPIFFE ID, which go-spiffe validates', async () => {
    const tokens = (...more: readonly string[]) => ask('broker', 'unix', '-what', 'jwt', ...sleeping(), ...more);
    const id = 'spiffe://example.org/sleeper';
    expect(await tokens()).toEqual({ tokens: [id] });
    expect(await tokens('-id', id)).toEqual({ tokens: [id] });
    expect(await tokens('-id', 'spiffe://example.org/other')).toMatchObject({ code: 'PermissionDenied' });
  });
});
