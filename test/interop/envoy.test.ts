import { once } from 'node:events';
import { createServer, type Server as HttpsServer } from 'node:https';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { BundleDefinition } from '../../src/gen/spire/api/server/bundle/v1/bundle.ts';
import { Bundle } from '../../src/gen/spire/api/types/types.ts';
import { TestAuthority, type TestCredential } from '../../src/testing/index.ts';
import { TestDomain } from '../agent/test-domain.ts';
import { authoritySteps } from '../harness/authority-steps.ts';
import { Envoy, executableOf } from '../harness/envoy.ts';
import { agentCluster, mutualCluster, mutualListener, plainListener } from '../harness/envoy-config.ts';
import { diskKeys, type TestAgent } from '../harness/running-agent.ts';

vi.setConfig({ testTimeout: 90_000, hookTimeout: 120_000 }); // two Envoys, two servers and two agents

const CLIENT = 'spiffe://example.org/client';
const WEB = 'spiffe://example.org/web';
const PARTNER = 'spiffe://partner.org/web';
const ISTIO_CERTIFICATE = 'file-cert:/etc/certs/cert-chain.pem~/etc/certs/key.pem';
const ISTIO_ROOT = 'file-root:/etc/certs/root-cert.pem';

const resources = new AsyncDisposableStack();
let domain: TestDomain;
let agent: TestAgent;
let clientEntry: string;
/** The newest Envoy, which calls, … */
let client: Envoy;
/** … and the oldest, which is called. */
let web: Envoy;
let port: number;
let startClient: () => Promise<Envoy>;

beforeAll(async () => {
  domain = resources.use(await TestDomain.start());
  const partner = resources.use(await TestDomain.start({ trustDomain: 'partner.org' }));
  const rogue = await TestAuthority.create('partner.org', 'Rogue');
  await trust(domain, 'partner.org', [...rootsOf(partner), rogue.certificate.der]);
  await trust(partner, 'example.org', rootsOf(domain));
  const [newest, oldest] = [programOf('newest'), programOf('oldest')];
  clientEntry = await domain.createEntry('/client', { selectors: [newest], federatesWith: ['partner.org'] });
  await domain.createEntry('/web', { selectors: [oldest] });
  await partner.createEntry('/web', { selectors: [oldest], federatesWith: ['example.org'] });
  agent = resources.use(await startAgent(domain));
  const partnerAgent = resources.use(await startAgent(partner));
  web = resources.use(
    await Envoy.start({
      version: 'oldest',
      folder: domain.folder.join('web'),
      clusters: [
        agentCluster('agent', agent.running.socketPath),
        agentCluster('partner-agent', partnerAgent.running.socketPath),
      ],
      listeners: [
        mutualListener('web', { agent: 'agent', svid: WEB, bundle: 'spiffe://example.org', peer: CLIENT }),
        mutualListener('partner', { agent: 'partner-agent', svid: 'default', bundle: 'ALL', peer: CLIENT }),
      ],
    }),
  );
  const mutual = { agent: 'agent', svid: 'default', bundle: 'ROOTCA', peer: WEB };
  const federated = { agent: 'agent', svid: CLIENT, bundle: 'ALL', peer: PARTNER };
  const webPort = await web.portOf('web');
  const rogueEnd = resources.use(await serve(await rogue.issue({ spiffeId: PARTNER })));
  const impostor = resources.use(await serve(await rogue.issue({ spiffeId: WEB })));
  const clusters = [
    mutualCluster('web', webPort, mutual),
    mutualCluster('other', webPort, { ...mutual, peer: 'spiffe://example.org/other' }),
    mutualCluster('partner', await web.portOf('partner'), federated),
    mutualCluster('partner-as-own', await web.portOf('partner'), { ...federated, bundle: 'ROOTCA' }),
    mutualCluster('partner-by-another-root', rogueEnd.port, federated),
    mutualCluster('impostor', impostor.port, { ...federated, peer: WEB }),
    mutualCluster('istio-files', webPort, { ...mutual, svid: ISTIO_CERTIFICATE, bundle: ISTIO_ROOT }),
  ];
  const names = clusters.flatMap((cluster) => ('name' in cluster ? String(cluster.name) : []));
  startClient = () =>
    Envoy.start({
      version: 'newest',
      folder: domain.folder.join('client'),
      clusters: [agentCluster('agent', agent.running.socketPath), ...clusters],
      listeners: [plainListener('calls', names)],
    });
  client = await startClient();
  resources.defer(() => client[Symbol.asyncDispose]());
  port = await client.portOf('calls');
});
afterAll(() => resources.disposeAsync());

describe('two Envoys, the newest calling the oldest', () => {
  test('know each other by their SPIFFE IDs', async () => {
    expect(await call('web')).toEqual({ status: 200, caller: CLIENT, body: 'served' });
    expect(await call('other')).toMatchObject({ status: 503 });
    expect(await client.count(/^cluster\.other\.ssl\.fail_verify_/)).toBeGreaterThan(0);
  });

  test('refuse an SVID of nobody they trust', async () => {
    const stranger = await TestAuthority.create('example.org', 'Stranger');
    expect(await isServed(await web.portOf('web'), await stranger.issue({ spiffeId: CLIENT }))).toBe(false);
  });

  test('of two trust domains verify each other by the SPIFFE validator', async () => {
    expect(await call('partner')).toEqual({ status: 200, caller: CLIENT, body: 'served' });
    expect(await call('partner-as-own')).toMatchObject({ status: 503 });
  });

  test('do not take a SPIFFE ID of their own trust domain from an authority of another one', async () => {
    expect(await call('partner-by-another-root')).toMatchObject({ status: 200 }); // that authority is trusted for its own
    expect(await call('impostor')).toMatchObject({ status: 503 });
    expect(await client.count(/^cluster\.impostor\.ssl\.fail_verify_/)).toBeGreaterThan(0);
  });

  test("get nothing by Istio's names of files, and all else on", async () => {
    expect(await call('istio-files')).toMatchObject({ status: 503 });
    expect(await call('web')).toMatchObject({ status: 200 });
    for (const name of [ISTIO_CERTIFICATE, ISTIO_ROOT]) {
      expect(agent.records).toContainEqual(
        expect.objectContaining({
          message: 'secrets are not given',
          fields: expect.objectContaining({ reason: expect.stringContaining(name) }),
        }),
      );
    }
    expect(await client.log()).not.toMatch(/config stream to agent closed/);
  });

  test('have another authority without a request that fails', async () => {
    const steps = authoritySteps(domain.server, 'X509');
    const roots = () => Promise.all([client.certificatesOf('ROOTCA'), web.certificatesOf('spiffe://example.org')]);
    const svids = async () => (await Promise.all([client.certificatesOf('default'), web.certificatesOf(WEB)])).flat();
    const countRoots = async () => (await roots()).map(({ length }) => length);
    const before = await svids();
    expect(before).toHaveLength(2);
    const countOldSvids = async () => (await svids()).filter((serial) => before.includes(serial)).length;
    await using load = steadyLoad('web');
    const old = await steps.active();
    const next = await steps.prepare();
    await expect.poll(countRoots).toEqual([2, 2]);
    await load.more();
    await steps.activate(next);
    await steps.taint(old);
    await expect.poll(countOldSvids).toBe(0);
    await load.more();
    await steps.revoke(old);
    await expect.poll(countRoots).toEqual([1, 1]);
    await load.more();
    const { answered, failed } = await load.stop();
    expect(failed).toEqual([]);
    expect(answered).toBeGreaterThan(90); // some before, between and after each step
  });

  test('are told of an entry that is deleted, and get its SVID again once it is back', async () => {
    await domain.deleteEntry(clientEntry);
    await expect.poll(() => client.log()).toMatch(/closed: 7, no%20identity%20issued/);
    expect(await call('web')).toMatchObject({ status: 200 }); // an SVID is good until it expires
    await client[Symbol.asyncDispose]();
    client = await startClient();
    port = await client.portOf('calls');
    expect(await call('web')).toMatchObject({ status: 503 }); // a new Envoy has none
    await domain.createEntry('/client', { selectors: [programOf('newest')], federatesWith: ['partner.org'] });
    await expect.poll(async () => (await call('web')).status, { timeout: 60_000, interval: 500 }).toBe(200);
  });
});

function startAgent(of: TestDomain): Promise<TestAgent> {
  const unix = 'WorkloadAttestor "unix" { plugin_data { discover_workload_path = true workload_size_limit = -1 } }';
  const keys = diskKeys(of.folder.join('agent'));
  return of.startAgent('agent', { plugins: `${keys}\n  NodeAttestor "join_token" {}\n  ${unix}` });
}

const programOf = (version: Parameters<typeof executableOf>[0]) => ({
  type: 'unix',
  value: `path:${executableOf(version)}`,
});

const rootsOf = ({ server }: TestDomain) => server.running.bundle.x509Authorities.map(({ certificate }) => certificate);

/** Has a server vouch for these roots of another trust domain. */
async function trust({ server }: TestDomain, trustDomain: string, roots: readonly Uint8Array[]): Promise<void> {
  const bundle = Bundle.fromPartial({ trustDomain, x509Authorities: roots.map((asn1) => ({ asn1 })) });
  const api = server.admin(BundleDefinition);
  const { results } = await api.batchSetFederatedBundle({ bundle: [bundle], outputMask: undefined });
  expect(results.map(({ status }) => status?.code)).toEqual([0]);
}

interface Answer {
  readonly status: number;
  readonly caller: string | null;
  readonly body: string;
}

/** By way of the Envoy that calls. */
async function call(cluster: string): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${port}/${cluster}`, { signal: AbortSignal.timeout(20_000) });
  return { status: response.status, caller: response.headers.get('x-caller'), body: await response.text() };
}

interface Load extends AsyncDisposable {
  /** Waits until some more have been answered. */
  more(): Promise<void>;
  stop(): Promise<{ readonly answered: number; readonly failed: readonly Answer[] }>;
}

/** Calls without end, two at a time: each has a handshake of its own between the Envoys. */
function steadyLoad(cluster: string): Load {
  let isOver = false;
  let answered = 0;
  const failed: Answer[] = [];
  const run = async () => {
    while (!isOver) {
      const answer = await call(cluster).catch((error: unknown) => ({ status: 0, caller: null, body: String(error) }));
      if (answer.status === 200 && answer.caller === CLIENT) answered += 1;
      else failed.push(answer);
    }
  };
  const runs = [run(), run()];
  const stop = async () => {
    isOver = true;
    await Promise.all(runs);
    return { answered, failed };
  };
  return {
    more: async () => {
      const goal = answered + 30;
      await expect.poll(() => answered).toBeGreaterThan(goal);
    },
    stop,
    [Symbol.asyncDispose]: async () => void (await stop()),
  };
}

async function serve({ certificatePem: cert, privateKeyPem: key }: TestCredential) {
  const server: HttpsServer = createServer(
    { cert, key, requestCert: true, rejectUnauthorized: false },
    (_, response) => {
      response.end('served');
    },
  );
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' ? (address?.port ?? 0) : 0,
    [Symbol.dispose]: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** Whether a server answers HTTP to whoever shows this SVID. */
async function isServed(to: number, { certificatePem: cert, privateKeyPem: key }: TestCredential): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port: to, cert, key, rejectUnauthorized: false });
  return await new Promise((resolve) => {
    socket.on('secureConnect', () => socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n'));
    socket.on('data', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
    socket.on('close', () => resolve(false));
  });
}
