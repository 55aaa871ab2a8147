import { createHash, generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PluginCatalog } from '../../src/plugin-host/catalog.ts';
import type { BuiltinPlugins } from '../../src/plugin-host/to-plugin-spec.ts';
import { type Swtpm, type SwtpmEk, startSwtpm } from '../../src/testing/swtpm.ts';
import { builtPlugin } from '../harness/built-programs.ts';
import { eventually } from '../harness/eventually.ts';
import { pluginConfig, SQL, TestHost } from '../plugin-host/go-plugins.ts';

const builtinsOf =
  (side: 'server' | 'agent'): BuiltinPlugins =>
  (_type, name) => ({ command: process.execPath, args: [builtPlugin(side, name)] });
const { signal } = new AbortController();

let tpm: Swtpm;
let bare: Swtpm;
beforeAll(async () => {
  [tpm, bare] = await Promise.all([startSwtpm({ ek: ['rsa-2048', 'ec-p256', 'ec-p384'] }), startSwtpm({ ek: [] })]);
});
afterAll(async () => {
  await tpm[Symbol.asyncDispose]();
  await bare[Symbol.asyncDispose]();
});

function csrKey(): Uint8Array {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'der' });
}

function loadServer(data: string): Promise<PluginCatalog> {
  const attestor = pluginConfig({
    type: 'NodeAttestor',
    name: 'tpm',
    data: { text: `${data}\nallow_unmeasured = true` },
  });
  const plugins = [SQL, pluginConfig({ type: 'KeyManager', name: 'memory' }), attestor];
  return new TestHost().load('server', plugins, { builtins: builtinsOf('server') });
}

function loadAgent(host: TestHost, data: string): Promise<PluginCatalog> {
  const plugins = [
    pluginConfig({ type: 'KeyManager', name: 'memory' }),
    pluginConfig({ type: 'NodeAttestor', name: 'tpm', data: { text: data } }),
    pluginConfig({ type: 'WorkloadAttestor', name: 'unix' }),
  ];
  return host.load('agent', plugins, { builtins: builtinsOf('agent') });
}

/** One attestation, with the two plugins in processes of their own. */
async function attest(server: PluginCatalog, agent: PluginCatalog, keys: { agent: Uint8Array; server: Uint8Array }) {
  const prover = agent.agentNodeAttestor;
  const verifier = server.findServerNodeAttestor('tpm');
  if (prover === undefined || verifier === undefined) throw new Error('the attestor was not loaded');
  await using proof = prover.attest({ csrPublicKey: keys.agent, signal });
  const options = { csrPublicKey: keys.server, signal };
  return await verifier.attest(await proof.payload, (challenge) => proof.respond(challenge), options);
}

/** The plugin learns that the attestation has ended a little after the host does. */
async function expectNothingLeft(): Promise<void> {
  await expect.poll(() => tpm.handles('transient')).toEqual([]);
  await expect.poll(() => tpm.handles('loaded-session')).toEqual([]);
}

describe('the two halves of the tpm attestor, each in its process', () => {
  let server: PluginCatalog;
  beforeAll(async () => {
    server = await loadServer(`virtual_ca_path = "${tpm.caPath}"`);
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test.each<SwtpmEk>(['rsa-2048', 'ec-p256', 'ec-p384'])('admit a TPM by its %s certificate', async (algorithm) => {
    await using agent = await loadAgent(new TestHost(), `tcti = "${tpm.tcti}"\nek_algorithm = "${algorithm}"`);
    const key = csrKey();
    const { spiffeId, canReattest } = await attest(server, agent, { agent: key, server: key });
    expect(spiffeId).toMatch(/^spiffe:\/\/example\.org\/spire\/agent\/tpm\/[0-9a-f]{64}$/);
    expect(canReattest).toBe(true);
    const again = csrKey();
    await expect(attest(server, agent, { agent: again, server: again })).resolves.toMatchObject({ spiffeId });
    await expectNothingLeft();
  });

  test('refuse a key that was not in the quote (check C20)', async () => {
    await using agent = await loadAgent(new TestHost(), `tcti = "${tpm.tcti}"`);
    await expect(attest(server, agent, { agent: csrKey(), server: csrKey() })).rejects.toThrow(/check C20/);
    await expectNothingLeft();
  });
});

test('a TPM without a certificate is admitted by the hash that the agent tells', async () => {
  const host = new TestHost();
  await using agent = await loadAgent(host, `tcti = "${bare.tcti}"`);
  await bare.tools('tpm2_createek', '-G', 'rsa', '-c', 'ek.ctx', '-f', 'der', '-u', 'ek.spki');
  await bare.tools('tpm2_flushcontext', '-t');
  const ekHash = createHash('sha256')
    .update(await bare.read('ek.spki'))
    .digest('hex');
  const hashPath = await bare.write('hashes', Buffer.from(`${ekHash}\n`));
  await using server = await loadServer(`hash_path = "${hashPath}"`);
  const key = csrKey();
  const { spiffeId } = await attest(server, agent, { agent: key, server: key });
  expect(spiffeId).toBe(`spiffe://example.org/spire/agent/tpm/${ekHash}`);
  await eventually(() =>
    expect(host.records).toContainEqual(
      expect.objectContaining({ level: 'warning', fields: expect.objectContaining({ ek_hash: ekHash }) }),
    ),
  );
});

test('a TPM that is not there is told in one sentence', async () => {
  await using server = await loadServer(`virtual_ca_path = "${tpm.caPath}"`);
  await using agent = await loadAgent(new TestHost(), 'tcti = "device:/dev/tpm-that-is-not-here"');
  const key = csrKey();
  await expect(attest(server, agent, { agent: key, server: key })).rejects.toMatchObject({
    message:
      'nodeattestor(tpm): there is no TPM at /dev/tpm-that-is-not-here: ' +
      'load the driver, switch the TPM on in the firmware, or correct "tcti"',
  });
});
