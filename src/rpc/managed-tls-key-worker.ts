import { parentPort } from 'node:worker_threads';
import { loadKeyAddon } from '../addon/key-addon.ts';
import {
  KeyManagerDefinition as AgentKeyManagerDefinition,
  HashAlgorithm,
  type SignDataRequest,
} from '../gen/spire/plugin/agent/keymanager/v1/keymanager.ts';
import { KeyManagerDefinition as ServerKeyManagerDefinition } from '../gen/spire/plugin/server/keymanager/v1/keymanager.ts';
import { Status } from '../spiffe/status.ts';
import { openAutoMtlsChannel } from './auto-mtls.ts';
import { RpcChannel } from './channel.ts';
import { type Client, createClient } from './client.ts';
import type { KeyEndpoint } from './managed-tls-key.ts';
import type { FromSigningThread, ToSigningThread } from './signing-thread.ts';
import { RemoteError } from './status.ts';

// A thread of its own, which signs in other threads' TLS handshakes by asking their key managers. They wait meanwhile.

interface OpenKey extends Connection {
  readonly keyId: string;
  readonly fingerprint: string | undefined;
  readonly deadlineMs: number;
}

/** To the key manager's process of the moment. */
interface Connection {
  readonly channel: RpcChannel;
  readonly keyManager: Pick<Client<typeof AgentKeyManagerDefinition>, 'signData'>;
}

const HASHES: Readonly<Record<string, HashAlgorithm>> = {
  sha224: HashAlgorithm.SHA224,
  sha256: HashAlgorithm.SHA256,
  sha384: HashAlgorithm.SHA384,
  sha512: HashAlgorithm.SHA512,
};

const addon = loadKeyAddon();
const keys = new Map<string, OpenKey>();

function openChannel({ socketPath, autoMtls }: KeyEndpoint): RpcChannel {
  const grpc = { 'grpc.initial_reconnect_backoff_ms': 100, 'grpc.max_reconnect_backoff_ms': 1_000 };
  if (autoMtls === undefined) return RpcChannel.unix(socketPath, { grpc });
  const { pluginCertificatePem: peerCertificatePem, certificatePem, privateKeyPem } = autoMtls;
  return openAutoMtlsChannel(socketPath, { peerCertificatePem, certificatePem, privateKeyPem }, { grpc });
}

function connect(endpoint: KeyEndpoint): Connection {
  const channel = openChannel(endpoint);
  // Both sides' messages are the same bytes; only the service's name differs.
  const keyManager =
    endpoint.side === 'agent'
      ? createClient(AgentKeyManagerDefinition, channel)
      : createClient(ServerKeyManagerDefinition, channel);
  return { channel, keyManager };
}

function open({ identifier, keyId, fingerprint, deadlineMs, endpoint }: ToSigningThread & { kind: 'open' }): void {
  keys.set(identifier, { keyId, fingerprint, deadlineMs, ...connect(endpoint) });
}

function move({ identifier, endpoint }: ToSigningThread & { kind: 'move' }): void {
  const key = keys.get(identifier);
  if (key === undefined) return;
  keys.set(identifier, { ...key, ...connect(endpoint) });
  key.channel[Symbol.dispose]();
}

async function sign(
  key: OpenKey,
  data: Uint8Array,
  hash: string,
  scheme: string,
  saltLength: number,
): Promise<Uint8Array> {
  const hashAlgorithm = HASHES[hash];
  if (hashAlgorithm === undefined) throw new Error(`the key manager has no hash "${hash}"`);
  const request: SignDataRequest = {
    keyId: key.keyId,
    data,
    signerOpts:
      scheme === 'rsa-pss'
        ? { $case: 'pssOptions', value: { saltLength, hashAlgorithm } }
        : { $case: 'hashAlgorithm', value: hashAlgorithm },
  };
  const response = await key.keyManager.signData(request, { deadlineMs: key.deadlineMs });
  if (key.fingerprint !== undefined && response.keyFingerprint !== key.fingerprint) {
    throw new Error(`the key manager has another key as "${key.keyId}" now`);
  }
  return response.signature;
}

function reasonOf(error: unknown): string {
  if (error instanceof RemoteError && error.status === Status.Unavailable) return 'the key manager cannot be reached';
  return error instanceof Error ? error.message : 'the key manager gave no reason';
}

const NO_SIGNATURE = new Uint8Array();

const threadId = addon.attachSigningThread((requestId, identifier, digest, hash, scheme, saltLength) => {
  const key = keys.get(identifier);
  if (key === undefined) {
    addon.completeSignature(threadId, requestId, NO_SIGNATURE, 'the key is closed');
    return;
  }
  void sign(key, digest, hash, scheme, saltLength).then(
    (signature) => addon.completeSignature(threadId, requestId, signature, ''),
    (error) => addon.completeSignature(threadId, requestId, NO_SIGNATURE, reasonOf(error)),
  );
});

const post = (message: FromSigningThread) => parentPort?.postMessage(message);

parentPort?.on('message', (message: ToSigningThread) => {
  switch (message.kind) {
    case 'open':
      open(message);
      post({ kind: 'opened', identifier: message.identifier });
      return;
    case 'move':
      move(message);
      return;
    case 'close':
      keys.get(message.identifier)?.channel[Symbol.dispose]();
      keys.delete(message.identifier);
      return;
    default:
      message satisfies never;
  }
});
post({ kind: 'ready', threadId });
