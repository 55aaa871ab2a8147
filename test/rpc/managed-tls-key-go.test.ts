import { expect, onTestFinished, test } from 'vitest';
import {
  KeyManagerDefinition as AgentKeyManagerDefinition,
  KeyType,
} from '../../src/gen/spire/plugin/agent/keymanager/v1/keymanager.ts';
import { KeyManagerDefinition as ServerKeyManagerDefinition } from '../../src/gen/spire/plugin/server/keymanager/v1/keymanager.ts';
import { AutoMtls, createOneTimeIdentity } from '../../src/rpc/auto-mtls.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { createClient } from '../../src/rpc/client.ts';
import { handshakeEnvironment, PLUGIN_ENVIRONMENT, type PluginSide } from '../../src/rpc/go-plugin.ts';
import { parseHandshake } from '../../src/rpc/handshake.ts';
import { type KeyEndpoint, ManagedTlsKey } from '../../src/rpc/managed-tls-key.ts';
import { TestProcess } from '../harness/child-process.ts';
import { buildGo } from '../harness/go.ts';
import { describeWithGo } from '../harness/requires.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

const MODULE = new URL('../interop/go-plugins', import.meta.url).pathname;

/** Starts the plugin, has it make a key, and gives what a TLS engine needs to use that. */
async function makeKey(side: PluginSide, keyType: KeyType, secure: boolean) {
  const folder = await createTemporaryFolder();
  onTestFinished(() => folder[Symbol.asyncDispose]());
  const identity = createOneTimeIdentity();
  const environment = Object.entries({
    ...handshakeEnvironment('KeyManager'),
    TMPDIR: folder.path, // where go-plugin of old puts its socket
    ...(secure ? { [PLUGIN_ENVIRONMENT.clientCertificate]: identity.certificatePem } : {}),
  });
  const program = await buildGo(MODULE, 'key-manager');
  const settings = environment.map(([name, value]) => `${name}=${value}`);
  const plugin = await TestProcess.start('env', [...settings, program, side], 'ignore');
  onTestFinished(() => plugin[Symbol.asyncDispose]());
  const { address: socketPath, certificate } = parseHandshake((await plugin.readLine()) ?? '');
  const mtls = certificate === undefined ? undefined : new AutoMtls(identity, certificate);
  expect(mtls !== undefined).toBe(secure);
  using channel = mtls === undefined ? RpcChannel.unix(socketPath) : mtls.openChannel(socketPath);
  const definition = side === 'agent' ? AgentKeyManagerDefinition : ServerKeyManagerDefinition;
  const client = createClient<typeof AgentKeyManagerDefinition>(
    definition as typeof AgentKeyManagerDefinition,
    channel,
  );
  const { publicKey } = await client.generateKey({ keyId: 'tls', keyType });
  const endpoint: KeyEndpoint = { socketPath, side, ...(mtls && { autoMtls: toEndpoint(mtls) }) };
  return {
    options: { keyId: 'tls', publicKey: publicKey?.pkixData ?? new Uint8Array(), endpoint },
    fingerprint: publicKey?.fingerprint ?? '',
  };
}

function toEndpoint({ material }: AutoMtls) {
  const { peerCertificatePem: pluginCertificatePem, certificatePem, privateKeyPem } = material;
  return { pluginCertificatePem, certificatePem, privateKeyPem };
}

describeWithGo('a key manager in Go', () => {
  test.each([
    ['agent', 'EC_P256', false],
    ['agent', 'RSA_2048', false],
    ['server', 'EC_P384', false],
    ['agent', 'EC_P256', true],
  ] as const)('of the %s signs with a key %s for TLS; under AutoMTLS: %s', async (side, keyType, secure) => {
    const { options, fingerprint } = await makeKey(side, KeyType[keyType], secure);
    await using key = await ManagedTlsKey.open({ ...options, fingerprint });
    expect(key.lastFailure).toBeUndefined();
    await expect(ManagedTlsKey.open({ ...options, fingerprint: 'another' })).rejects.toThrow(
      /the key manager has another key as "tls" now/,
    );
    await expect(ManagedTlsKey.open({ ...options, keyId: 'absent' })).rejects.toThrow(/no key "absent"/);
  });
});
