import type { SignatureHash } from '../addon/raw-signature.ts';
import { KeyManagerDefinition as AgentKeyManager } from '../gen/spire/plugin/agent/keymanager/v1/keymanager.ts';
import {
  type HashAlgorithm,
  type PublicKey,
  KeyManagerDefinition as ServerKeyManager,
  type SignDataRequest,
} from '../gen/spire/plugin/server/keymanager/v1/keymanager.ts';
import type { ServiceHandlers } from '../rpc/call.ts';
import type { PluginSide } from '../rpc/go-plugin.ts';
import { bindService } from '../rpc/service.ts';
import { SpiffeError } from '../spiffe/error.ts';
import type { KeyType } from '../x509/signer.ts';
import { Configuration, type ConfigurationOptions } from './configuration.ts';
import { hashName, keyTypeName, keyTypeNumber } from './key-algorithms.ts';
import type { Plugin } from './plugin.ts';

/** A key as its manager shows it. */
export interface KeyRecord {
  readonly id: string;
  readonly type: KeyType;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  /** Opaque; the same for one key, another once the id holds another key. */
  readonly fingerprint: string;
}

/** How to sign a digest. `default` is ECDSA for EC keys and PKCS #1 v1.5 for RSA keys. */
export type SignatureOptions =
  | { readonly scheme: 'default'; readonly hash: SignatureHash }
  | {
      readonly scheme: 'pss';
      readonly hash: SignatureHash;
      /** Bytes, or as Go has it: -1 as long as the hash, 0 as long as fits. */
      readonly saltLength: number;
    };

export interface KeyManagerDefinition<Config, State> extends ConfigurationOptions<Config, State> {
  readonly name: string;
  readonly side: PluginSide;
  /** Makes a key; one that had the id is gone. */
  generateKey(id: string, type: KeyType, state: State): Promise<KeyRecord>;
  findKey(id: string, state: State): Promise<KeyRecord | undefined>;
  getKeys(state: State): Promise<readonly KeyRecord[]>;
  /**
   * @param digest what to sign, hashed already.
   * @returns ECDSA in DER, RSA as it comes; with the fingerprint of the key that signed.
   * @throws SpiffeError `KEY_NOT_FOUND`
   */
  signData(
    id: string,
    digest: Uint8Array,
    options: SignatureOptions,
    state: State,
  ): Promise<{ readonly signature: Uint8Array; readonly fingerprint: string }>;
}

/** Source: `spire.plugin.server.keymanager.v1` and `spire.plugin.agent.keymanager.v1`, which are alike. */
export function defineKeyManager<Config, State>(definition: KeyManagerDefinition<Config, State>): Plugin {
  return {
    type: 'KeyManager',
    side: definition.side,
    name: definition.name,
    bind(runtime) {
      const configuration = new Configuration(definition, runtime);
      const handlers = handlersOf(definition, () => configuration.current.state);
      const service =
        definition.side === 'server' ? bindService(ServerKeyManager, handlers) : bindService(AgentKeyManager, handlers);
      return [service, configuration.service];
    },
  };
}

function handlersOf<Config, State>(
  definition: KeyManagerDefinition<Config, State>,
  state: () => State,
): ServiceHandlers<typeof ServerKeyManager> {
  return {
    async generateKey({ keyId, keyType }) {
      requireKeyId(keyId);
      return { publicKey: toPublicKey(await definition.generateKey(keyId, keyTypeName(keyType), state())) };
    },
    async getPublicKey({ keyId }) {
      requireKeyId(keyId);
      const key = await definition.findKey(keyId, state());
      if (key === undefined) throw new SpiffeError('KEY_NOT_FOUND', `no such key "${keyId}"`);
      return { publicKey: toPublicKey(key) };
    },
    async getPublicKeys() {
      return { publicKeys: (await definition.getKeys(state())).map(toPublicKey) };
    },
    async signData({ keyId, data, signerOpts }) {
      requireKeyId(keyId);
      const { signature, fingerprint } = await definition.signData(keyId, data, signatureOptions(signerOpts), state());
      return { signature, keyFingerprint: fingerprint };
    },
  };
}

function signatureOptions(options: SignDataRequest['signerOpts']): SignatureOptions {
  if (options === undefined) throw new SpiffeError('ARGUMENT_INVALID', 'signer options are required');
  if (options.$case === 'hashAlgorithm') return { scheme: 'default', hash: requireHash(options.value) };
  const { hashAlgorithm, saltLength } = options.value;
  return { scheme: 'pss', hash: requireHash(hashAlgorithm), saltLength };
}

function requireHash(algorithm: HashAlgorithm): SignatureHash {
  const name = hashName(algorithm);
  if (name === undefined) throw new SpiffeError('ARGUMENT_INVALID', `hash algorithm ${algorithm} is not supported`);
  return name;
}

function requireKeyId(id: string): void {
  if (id === '') throw new SpiffeError('ARGUMENT_INVALID', 'key id is required');
}

function toPublicKey({ id, type, publicKey, fingerprint }: KeyRecord): PublicKey {
  return { id, type: keyTypeNumber(type), pkixData: publicKey, fingerprint };
}
