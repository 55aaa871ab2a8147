import { X509Certificate } from 'node:crypto';
import { cp, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ServerConnection } from '../../src/agent/server-api/server-connection.ts';
import { AgentDataFile } from '../../src/agent/storage/agent-data.ts';
import { PluginsDefinition } from '../../src/gen/assayer/plugin/v1/plugin.ts';
import {
  PermissionDeniedDetails,
  PermissionDeniedDetails_Reason as Reason,
} from '../../src/gen/spire/api/types/types.ts';
import { Logger } from '../../src/log/logger.ts';
import { PluginCatalog } from '../../src/plugin-host/catalog.ts';
import { ManagedTlsKey } from '../../src/rpc/managed-tls-key.ts';
import { RemoteError } from '../../src/rpc/status.ts';
import { Status } from '../../src/spiffe/status.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { type Swtpm, startSwtpm } from '../../src/testing/swtpm.ts';
import { readWrappedKeys, wrappedKeysFile } from '../../src/tpm-device/wrapped-keys.ts';
import { createCsr } from '../../src/x509/csr.ts';
import { TestDomain } from '../agent/test-domain.ts';
import { builtinPlugins } from '../harness/built-programs.ts';
import { eventually } from '../harness/eventually.ts';
import { TestAgent } from '../harness/running-agent.ts';
import { type AgentRecord, agentRecords } from './admin-records.ts';
import { ekHashByTools } from './ek-from-tools.ts';

const resources = new AsyncDisposableStack();
/** Two machines. */
let a: Swtpm;
let b: Swtpm;
let domain: TestDomain;
/** A folder with the CAs of both. */
let makers: string;
const ids = new Map<Swtpm, string>();
/** The same in each private key on P-256, and whole in base64: lengths, version and algorithm. */
const PKCS8_BEGINNING = Buffer.from('308187020100301306072a8648ce3d', 'hex');
beforeAll(async () => {
  [a, b] = await Promise.all([startSwtpm(), startSwtpm()]);
  for (const tpm of [a, b]) {
    resources.use(tpm);
    ids.set(tpm, `spiffe://example.org/spire/agent/tpm/${await ekHashByTools(tpm, 'rsa-2048')}`);
  }
  makers = join(a.folder, 'makers');
  await mkdir(makers);
  for (const [index, tpm] of [a, b].entries()) await cp(tpm.caPath, join(makers, `${index}.pem`));
  domain = resources.use(await startDomain());
});
afterAll(() => resources.disposeAsync());

const startDomain = (settings = '') =>
  TestDomain.start({
    settings,
    plugins: `KeyManager "memory" {}
      NodeAttestor "tpm" { plugin_data {
        virtual_ca_path = "${makers}"
        require_key_bound = true
      } }`,
  });

const keysIn = (folder: string) => `${folder}/data/keys`;
const tpmKeys = (tpm: Swtpm, folder: string) =>
  `KeyManager "tpm" { plugin_data {
    tcti = "${tpm.tcti}"
    keys_path = "${keysIn(folder)}"
  } }`;
const attestor = (tpm: Swtpm, more = '') => `NodeAttestor "tpm" { plugin_data {
    tcti = "${tpm.tcti}"
    ${more}
  } }`;

/** The agent of a machine, in the folder `name`. */
function startAgent(tpm: Swtpm, name: string, plugins?: string, of = domain): Promise<TestAgent> {
  const folder = of.folder.join(name);
  const bound = `${tpmKeys(tpm, folder)}\n ${attestor(tpm, `keys_path = "${keysIn(folder)}"`)}`;
  return TestAgent.start({
    folder,
    serverPort: of.port,
    settings: `trust_bundle_path = "${of.bundlePath}"`,
    plugins: `${plugins ?? bound}\n WorkloadAttestor "unix" {}`,
  });
}

async function recordOf(tpm: Swtpm, of = domain): Promise<AgentRecord | undefined> {
  return (await agentRecords(of.server)).find(({ agentId }) => agentId === ids.get(tpm));
}

describe('an agent whose key lives in its TPM', () => {
  test('attests and syncs with a key of the TPM, which is a fact of the node', async () => {
    await using agent = await startAgent(a, 'a');
    expect(agent.running.agentId).toBe(ids.get(a));
    expect((await recordOf(a))?.selectors).toContain('tpm:key_bound');
    expect(await isKeyOfTpm(domain.folder.join('a'))).toBe(true);
  });

  test('attests again in time by itself, each time with another key of the TPM', async () => {
    await using brief = await startDomain('agent_ttl = "6s"');
    await using agent = await startAgent(b, 'brief', undefined, brief);
    const first = await recordOf(b, brief);
    await eventually(async () => expect((await recordOf(b, brief))?.serialNumber).not.toBe(first?.serialNumber));
    expect((await recordOf(b, brief))?.selectors).toContain('tpm:key_bound');
    await eventually(async () => expect(await isKeyOfTpm(brief.folder.join('brief'))).toBe(true));
    const attestations = () => agent.messages.filter((message) => message === 'node attested').length;
    await expect.poll(attestations).toBeGreaterThan(1);
  });

  test('keeps no private key in its data folder', async () => {
    const agent = await startAgent(a, 'a');
    await agent[Symbol.asyncDispose]();
    const folder = domain.folder.join('a/data');
    const files = await readdir(folder, { recursive: true, withFileTypes: true });
    const contents = files
      .filter((file) => file.isFile())
      .map(async (file) => await readFile(join(file.parentPath, file.name), 'latin1'));
    expect(contents.length).toBeGreaterThan(1);
    for (const text of await Promise.all(contents)) {
      expect(text).not.toMatch(/PRIVATE KEY|pkcs8/);
      expect(text.includes(PKCS8_BEGINNING.toString('latin1'))).toBe(false);
      expect(text).not.toContain(PKCS8_BEGINNING.toString('base64'));
    }
  });

  test('is refused RenewAgent, by the code that makes a SPIRE agent attest again', async () => {
    const agent = await startAgent(a, 'a');
    await agent[Symbol.asyncDispose]();
    await using caller = await BoundCaller.open(a, domain.folder.join('a'));
    const error: unknown = await caller.renew().catch((failure: unknown) => failure);
    if (!(error instanceof RemoteError)) throw new Error('RenewAgent was not refused');
    expect(error.status).toBe(Status.PermissionDenied);
    const [detail] = error.details;
    expect(PermissionDeniedDetails.decode(detail?.value ?? new Uint8Array()).reason).toBe(Reason.AGENT_MUST_REATTEST);
  });
});

describe('where a key has to live in the TPM', () => {
  test('an agent with keys elsewhere is refused, and told what to do', async () => {
    await expect(startAgent(b, 'software', `KeyManager "memory" {}\n ${attestor(b)}`)).rejects.toThrow(
      /give it the key manager "tpm", and its attestor the same "keys_path" \(check H55\)/,
    );
  });

  test('an attestor that does not find the key among those of the key manager says so', async () => {
    const folder = domain.folder.join('elsewhere');
    const plugins = `${tpmKeys(b, folder)}\n ${attestor(b, `keys_path = "${folder}/data/others"`)}`;
    await expect(startAgent(b, 'elsewhere', plugins)).rejects.toThrow(
      /is not in ".*others": configure the key manager "tpm" with the same "keys_path"/,
    );
  });
});

describe('the data folder of an agent, copied to another machine', () => {
  test.each([
    ['A to B', () => [a, b, 'a'] as const],
    ['B to A', () => [b, a, 'b'] as const],
  ])('from %s, renews nothing: its keys are of another TPM', async (_what, machines) => {
    const [from, to, name] = machines();
    const agent = await startAgent(from, name);
    await agent[Symbol.asyncDispose]();
    const copy = `copied-${name}`;
    await cp(domain.folder.join(`${name}/data`), domain.folder.join(`${copy}/data`), { recursive: true });
    await expect(startAgent(to, copy)).rejects.toThrow(/are of another TPM, or this TPM was cleared since/);
    const attestations = (await recordOf(from))?.serialNumber;
    expect(attestations).toBeDefined();
    await rm(keysIn(domain.folder.join(copy)), { recursive: true }); // what is left is an SVID without its key
    await using other = await startAgent(to, copy);
    expect(other.running.agentId).toBe(ids.get(to));
    expect((await recordOf(from))?.serialNumber).toBe(attestations);
  });
});

/** A TPM takes its time for an RSA key. */
const PATIENCE_MS = 60_000;

test('a TPM that is cleared under a running agent costs it its key, and no restart once the operator agrees', {
  timeout: 3 * PATIENCE_MS,
}, async () => {
  await using cleared = await startDomain();
  await using agent = await startAgent(b, 'cleared', undefined, cleared);
  const folder = cleared.folder.join('cleared');
  const before = await recordOf(b, cleared);
  await b.tools('tpm2_clear', '-c', 'p');
  // The counters of a TPM begin anew then, which the server's attestor would refuse: it forgets them with its process.
  await cleared.server.admin(PluginsDefinition).reloadPlugin({ name: 'tpm', type: 'NodeAttestor' });
  await rm(wrappedKeysFile(keysIn(folder)));
  const hasNewSvid = async () => expect((await recordOf(b, cleared))?.serialNumber).not.toBe(before?.serialNumber);
  await eventually(hasNewSvid, PATIENCE_MS);
  expect((await recordOf(b, cleared))?.selectors).toContain('tpm:key_bound');
  await eventually(async () => expect(await isKeyOfTpm(folder)).toBe(true));
  expect(agent.running.agentId).toBe(before?.agentId);
});

/** Whether the certificate that the agent has stored is of a key that its TPM wrapped. */
async function isKeyOfTpm(folder: string): Promise<boolean> {
  const stored = await readWrappedKeys(keysIn(folder));
  const [leaf = new Uint8Array()] = (await openData(folder)).current.svid?.chain ?? [];
  const publicKey = new X509Certificate(leaf).publicKey.export({ type: 'spki', format: 'der' });
  return stored?.keys.some((key) => Buffer.compare(key.publicKey, publicKey) === 0) ?? false;
}

const openData = (folder: string) =>
  AgentDataFile.open(`${folder}/data`, parseTrustDomain('example.org'), new Logger(() => {}));

/** Somebody with the SVID of an agent and its key manager, who calls in its place. */
class BoundCaller implements AsyncDisposable {
  readonly #stack: AsyncDisposableStack;
  readonly #connection: ServerConnection;
  readonly #catalog: PluginCatalog;

  private constructor(stack: AsyncDisposableStack, connection: ServerConnection, catalog: PluginCatalog) {
    this.#stack = stack;
    this.#connection = connection;
    this.#catalog = catalog;
  }

  static async open(tpm: Swtpm, folder: string): Promise<BoundCaller> {
    await using stack = new AsyncDisposableStack();
    const { bundle } = domain.server.running;
    const text = `tcti = "${tpm.tcti}"\nkeys_path = "${keysIn(folder)}"`;
    const plugin = (type: string, name: string, data: string) => ({
      ...{ type, name, args: [], data: { text: data }, enabled: true, autoMtls: false },
    });
    const catalog = stack.use(
      await PluginCatalog.load({
        side: 'agent',
        plugins: [
          plugin('KeyManager', 'tpm', text),
          plugin('WorkloadAttestor', 'unix', ''),
          plugin('NodeAttestor', 'join_token', ''),
        ],
        trustDomain: bundle.trustDomain,
        builtins: builtinPlugins('agent'),
        hostServices: [],
        log: new Logger(() => {}),
      }),
    );
    const certificates = (await openData(folder)).current.svid?.chain ?? [];
    const wanted = new X509Certificate(certificates[0] ?? new Uint8Array()).publicKey;
    const spki = wanted.export({ type: 'spki', format: 'der' });
    const key = (await catalog.keyManager.getKeys()).find(({ publicKey }) => Buffer.compare(publicKey, spki) === 0);
    if (key === undefined) throw new Error('the key manager has not the key of the SVID');
    const { id: keyId, publicKey, endpoint } = key;
    const privateKey = stack.use(await ManagedTlsKey.open({ keyId, publicKey, endpoint }));
    const connection = stack.adopt(
      new ServerConnection({
        address: '127.0.0.1',
        port: domain.port,
        trustDomain: bundle.trustDomain,
        requirePqKem: false,
        bundle: () => bundle,
        identity: () => ({ certificates, privateKey }),
      }),
      (opened) => opened[Symbol.dispose](),
    );
    return new BoundCaller(stack.move(), connection, catalog);
  }

  /** RenewAgent, for another key of the TPM. */
  async renew(): Promise<void> {
    const signer = await this.#catalog.keyManager.generateKey('another', 'ec-p256');
    const csr = await createCsr({ signer, uriNames: [] });
    await this.#connection.run(({ agent }) => agent.renewAgent({ params: { csr } }, { deadlineMs: 10_000 }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}
