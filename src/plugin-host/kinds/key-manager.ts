import {
  KeyManagerDefinition as AgentKeyManagerDefinition,
  HashAlgorithm,
  type PublicKey,
  KeyType as WireKeyType,
} from '../../gen/spire/plugin/agent/keymanager/v1/keymanager.ts';
import { KeyManagerDefinition as ServerKeyManagerDefinition } from '../../gen/spire/plugin/server/keymanager/v1/keymanager.ts';
import type { Client } from '../../rpc/client.ts';
import type { KeyEndpoint } from '../../rpc/managed-tls-key.ts';
import { RemoteError } from '../../rpc/status.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { quoteText } from '../../spiffe/quote-text.ts';
import { Status } from '../../spiffe/status.ts';
import type { HashName, KeyType, Signer } from '../../x509/signer.ts';
import { keyTypeOfSpki, publicKeyOfSpki } from '../../x509/spki.ts';
import { type Plugin, PluginService, type RunOptions } from '../plugin.ts';
import type { PluginEndpoint, PluginGeneration } from '../plugin-generation.ts';

/** The plugin that keeps a program's private keys; none of them ever leaves it. */
export interface KeyManager {
  readonly name: string;
  /** Replaces the key of that id, where there is one. */
  generateKey(id: string, type: KeyType): Promise<ManagedKey>;
  findKey(id: string): Promise<ManagedKey | undefined>;
  getKeys(): Promise<readonly ManagedKey[]>;
}

/** A private key in a key manager. Once it was replaced it signs no more. */
export interface ManagedKey extends Signer {
  readonly id: string;
  /** The key manager's own name for this very key; opaque. */
  readonly fingerprint: string;
  /** Where the TLS engine's own thread asks for signatures, at this moment. */
  readonly endpoint: KeyEndpoint;
  /** Tells where it is to ask each time that the key manager was started again. @returns what ends that */
  onEndpointChange(listener: (endpoint: KeyEndpoint) => void): Disposable;
}

/** SPIRE's, for each call. */
const DEADLINE_MS = 30_000;
/** A key manager that lists more than this is broken. */
const MAX_KEYS = 10_000;

const WIRE_KEY_TYPES = {
  'ec-p256': WireKeyType.EC_P256,
  'ec-p384': WireKeyType.EC_P384,
  'rsa-2048': WireKeyType.RSA_2048,
  'rsa-4096': WireKeyType.RSA_4096,
} as const satisfies Readonly<Record<KeyType, WireKeyType>>;

const WIRE_HASHES = {
  sha256: HashAlgorithm.SHA256,
  sha384: HashAlgorithm.SHA384,
  sha512: HashAlgorithm.SHA512,
} as const satisfies Readonly<Record<HashName, HashAlgorithm>>;

/** @see plugin-wire §8.1: the host's checks */
export function createKeyManager(plugin: Plugin): KeyManager {
  plugin.requireOfSuccessor((before, after) => requireSameKeys(clientOf(plugin, before), clientOf(plugin, after)));
  return new PluginKeyManager(plugin);
}

/** Keys that a new process does not have would be lost with the old one. */
async function requireSameKeys(before: KeyManagerClient, after: KeyManagerClient): Promise<void> {
  const [had, has] = await Promise.all(
    [before, after].map((client) => client.getPublicKeys({}, { deadlineMs: DEADLINE_MS })),
  );
  const found = new Map(has?.publicKeys.map(({ id, fingerprint }) => [id, fingerprint]));
  const lost = (had?.publicKeys ?? []).filter(({ id, fingerprint }) => found.get(id) !== fingerprint);
  if (lost.length === 0) return;
  const names = lost.slice(0, MAX_NAMED_KEYS).map(({ id }) => quoteText(id));
  const more = lost.length > names.length ? ` and ${lost.length - names.length} more` : '';
  throw new SpiffeError(
    'FAILED_PRECONDITION',
    `a new process of the key manager has not the keys of the old one: ${names.join(', ')}${more} would be lost, as a key manager that keeps them in memory alone cannot be reloaded`,
  );
}

const MAX_NAMED_KEYS = 5;
/** A second one would be another key, and a process that is about to be replaced would take it along. */
const MAKES_A_KEY: RunOptions = { repeatable: false, changes: true };

/** Both sides' services have the same messages under different names. */
const services = {
  server: new PluginService(ServerKeyManagerDefinition),
  agent: new PluginService(AgentKeyManagerDefinition),
};

class PluginKeyManager implements KeyManager {
  readonly #plugin: Plugin;

  constructor(plugin: Plugin) {
    this.#plugin = plugin;
  }

  get name(): string {
    return this.#plugin.name;
  }

  async generateKey(id: string, type: KeyType): Promise<ManagedKey> {
    return await this.#run(async (client) => {
      const request = { keyId: id, keyType: WIRE_KEY_TYPES[type] };
      const { publicKey } = await client.generateKey(request, { deadlineMs: DEADLINE_MS });
      const key = this.#toKey(publicKey, id);
      if (key.keyType !== type) refuse(`made a key of type ${key.keyType} as ${quoteText(id)}, not of ${type}`);
      return key;
    }, MAKES_A_KEY);
  }

  async findKey(id: string): Promise<ManagedKey | undefined> {
    return await this.#run(async (client) => {
      try {
        const { publicKey } = await client.getPublicKey({ keyId: id }, { deadlineMs: DEADLINE_MS });
        return this.#toKey(publicKey, id);
      } catch (error) {
        if (error instanceof RemoteError && error.status === Status.NotFound) return undefined;
        throw error;
      }
    });
  }

  async getKeys(): Promise<readonly ManagedKey[]> {
    return await this.#run(async (client) => {
      const { publicKeys } = await client.getPublicKeys({}, { deadlineMs: DEADLINE_MS });
      if (publicKeys.length > MAX_KEYS) refuse(`lists ${publicKeys.length} keys, more than ${MAX_KEYS}`);
      const keys = publicKeys.map((publicKey) => this.#toKey(publicKey, publicKey.id));
      if (new Set(keys.map(({ id }) => id)).size < keys.length) refuse('lists one key id twice');
      return keys;
    });
  }

  async signDigest(key: KeyIdentity, digest: Uint8Array, hash: HashName): Promise<Uint8Array> {
    return await this.#run(async (client) => {
      const signerOpts = { $case: 'hashAlgorithm', value: WIRE_HASHES[hash] } as const;
      const request = { keyId: key.id, data: digest, signerOpts };
      const { signature, keyFingerprint } = await client.signData(request, { deadlineMs: DEADLINE_MS });
      if (signature.length === 0) refuse(`answered an empty signature with key ${quoteText(key.id)}`);
      if (keyFingerprint !== key.fingerprint) {
        refuse(`signed with another key than it had as ${quoteText(key.id)}: it was replaced`);
      }
      return signature;
    });
  }

  get endpoint(): KeyEndpoint {
    return this.#toKeyEndpoint(this.#plugin.endpoint);
  }

  onEndpointChange(listener: (endpoint: KeyEndpoint) => void): Disposable {
    return this.#plugin.onEndpointChange((endpoint) => listener(this.#toKeyEndpoint(endpoint)));
  }

  #toKeyEndpoint({ socketPath, autoMtls }: PluginEndpoint): KeyEndpoint {
    const { side } = this.#plugin;
    if (autoMtls === undefined) return { socketPath, side };
    const { peerCertificatePem: pluginCertificatePem, certificatePem, privateKeyPem } = autoMtls;
    return { socketPath, side, autoMtls: { pluginCertificatePem, certificatePem, privateKeyPem } };
  }

  /** @throws SpiffeError `PLUGIN_PROTOCOL` where it is not a key of that id. */
  #toKey(publicKey: PublicKey | undefined, id: string): ManagedKey {
    if (publicKey === undefined) return refuse(`answered no public key for ${quoteText(id)}`);
    if (publicKey.id === '') refuse('answered a key without an id');
    if (publicKey.id !== id) refuse(`answered key ${quoteText(publicKey.id)} when asked for ${quoteText(id)}`);
    if (publicKey.pkixData.length === 0) refuse(`answered an empty public key for ${quoteText(id)}`);
    return new PluginKey(this, publicKey, keyTypeOf(publicKey));
  }

  async #run<Result>(
    call: (client: KeyManagerClient) => Promise<Result>,
    options: RunOptions = { repeatable: true },
  ): Promise<Result> {
    return await this.#plugin.run((generation) => call(clientOf(this.#plugin, generation)), options);
  }
}

type KeyManagerClient = Client<typeof ServerKeyManagerDefinition>;

function clientOf({ side }: Plugin, generation: PluginGeneration): KeyManagerClient {
  return side === 'server' ? services.server.of(generation) : services.agent.of(generation);
}

interface KeyIdentity {
  readonly id: string;
  readonly fingerprint: string;
}

class PluginKey implements ManagedKey {
  readonly id: string;
  readonly fingerprint: string;
  readonly publicKey: Uint8Array;
  readonly keyType: KeyType;
  readonly #keyManager: PluginKeyManager;

  constructor(keyManager: PluginKeyManager, { id, fingerprint, pkixData }: PublicKey, keyType: KeyType) {
    this.#keyManager = keyManager;
    this.id = id;
    this.fingerprint = fingerprint;
    this.publicKey = new Uint8Array(pkixData);
    this.keyType = keyType;
  }

  get endpoint(): KeyEndpoint {
    return this.#keyManager.endpoint;
  }

  onEndpointChange(listener: (endpoint: KeyEndpoint) => void): Disposable {
    return this.#keyManager.onEndpointChange(listener);
  }

  async signDigest(digest: Uint8Array, hash: HashName): Promise<Uint8Array> {
    return await this.#keyManager.signDigest(this, digest, hash);
  }
}

function keyTypeOf({ id, pkixData }: PublicKey): KeyType {
  try {
    publicKeyOfSpki(pkixData);
    return keyTypeOfSpki(pkixData);
  } catch (cause) {
    throw new SpiffeError('PLUGIN_PROTOCOL', `answered a public key for ${quoteText(id)} that does not parse`, {
      cause,
    });
  }
}

function refuse(what: string): never {
  throw new SpiffeError('PLUGIN_PROTOCOL', `key manager ${what}`);
}
