import { setTimeout as sleep } from 'node:timers/promises';
import {
  type KeyRecord,
  type KeyType,
  messageOf,
  type PluginContext,
  type SignatureOptions,
  SpiffeError,
} from '../../plugin-sdk/index.ts';
import { keyIdOf, newKeyName } from './key-name.ts';
import type { Transit, TransitKey, TransitSignature } from './transit.ts';

type Log = PluginContext['log'];

export interface VaultKeysOptions {
  readonly transit: Transit;
  /** Keys of others are neither shown nor touched. */
  readonly serverId: string;
  readonly log: Log;
}

const RETRY_MS = 5_000;
const LONGEST_RETRY_MS = 60_000;

/** The keys of one server in a transit engine. Disposing stops the deletion of old ones, which the next start goes on with. */
export class VaultKeys implements Disposable {
  readonly #options: VaultKeysOptions;
  readonly #keys: Map<string, TransitKey>;
  readonly #end = new AbortController();

  private constructor(options: VaultKeysOptions, keys: Map<string, TransitKey>) {
    this.#options = options;
    this.#keys = keys;
  }

  /** Of two keys of one id, as a server leaves that is killed between, the newer one counts and the other goes. */
  static async open(options: VaultKeysOptions): Promise<VaultKeys> {
    const { transit, serverId } = options;
    const keys = new Map<string, TransitKey>();
    const old: string[] = [];
    for (const name of await transit.list()) {
      const id = keyIdOf(name, serverId);
      if (id === undefined) continue;
      const key = await transit.read(name);
      const other = keys.get(id);
      if (other !== undefined) old.push(other.createdAt > key.createdAt ? name : other.name);
      if (other === undefined || other.createdAt <= key.createdAt) keys.set(id, key);
    }
    const opened = new VaultKeys(options, keys);
    for (const name of old) void opened.#delete(name);
    return opened;
  }

  [Symbol.dispose](): void {
    this.#end.abort();
  }

  async generate(id: string, type: KeyType): Promise<KeyRecord> {
    const { transit, serverId } = this.#options;
    const before = this.#keys.get(id);
    const key = await transit.create(newKeyName(serverId, id), type);
    this.#keys.set(id, key);
    if (before !== undefined) void this.#delete(before.name);
    return toRecord(id, key);
  }

  find(id: string): KeyRecord | undefined {
    const key = this.#keys.get(id);
    return key && toRecord(id, key);
  }

  list(): readonly KeyRecord[] {
    return [...this.#keys].map(([id, key]) => toRecord(id, key)).toSorted((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** @throws SpiffeError `KEY_NOT_FOUND`, `ARGUMENT_INVALID` for a hash that Vault does not know */
  async sign(
    id: string,
    digest: Uint8Array,
    options: SignatureOptions,
  ): Promise<{ signature: Uint8Array; fingerprint: string }> {
    const key = this.#keys.get(id);
    if (key === undefined) throw new SpiffeError('KEY_NOT_FOUND', `no such key "${id}"`);
    const signature = await this.#options.transit.sign(key, digest, toTransitSignature(key.type, options));
    return { signature, fingerprint: key.fingerprint };
  }

  /** Again and again: a key that stays is one more that can be stolen. */
  async #delete(name: string): Promise<void> {
    const { transit, log } = this.#options;
    const { signal } = this.#end;
    for (let waitMs = RETRY_MS; !signal.aborted; waitMs = Math.min(2 * waitMs, LONGEST_RETRY_MS)) {
      try {
        await transit.delete(name);
        log.debug('a key that was replaced is deleted', { key_name: name });
        return;
      } catch (error) {
        if (signal.aborted) return;
        log.warning('a key that was replaced is not deleted yet', { key_name: name, reason: messageOf(error) });
      }
      await sleep(waitMs, undefined, { signal }).catch(() => {});
    }
  }
}

function toRecord(id: string, { type, publicKey, fingerprint }: TransitKey): KeyRecord {
  return { id, type, publicKey, fingerprint };
}

function toTransitSignature(type: KeyType, options: SignatureOptions): TransitSignature {
  const isRsa = type.startsWith('rsa-');
  // ECDSA is over the digest, whatever made it; Vault wants one to be named.
  if (!isRsa && options.scheme === 'default') return { hash: type === 'ec-p384' ? 'sha2-384' : 'sha2-256' };
  const hash = hashOf(options.hash);
  if (options.scheme === 'default') return { hash, algorithm: 'pkcs1v15' };
  if (!isRsa) throw new SpiffeError('ARGUMENT_INVALID', `a key of type ${type} does not sign with RSASSA-PSS`);
  const { saltLength } = options;
  const named = saltLength === -1 ? 'hash' : saltLength === 0 ? 'auto' : String(saltLength);
  return { hash, algorithm: 'pss', saltLength: named };
}

/** `sha256` → `sha2-256`; those of SHA-3 have Vault's names. */
function hashOf(hash: SignatureOptions['hash']): string {
  if (hash.startsWith('sha3-')) return hash;
  const [, bits] = /^sha(224|256|384|512)$/.exec(hash) ?? [];
  if (bits !== undefined) return `sha2-${bits}`;
  throw new SpiffeError('ARGUMENT_INVALID', `Vault does not sign with the hash ${hash}`);
}
