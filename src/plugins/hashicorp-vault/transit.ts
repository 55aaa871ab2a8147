import { createHash } from 'node:crypto';
import { decodePem, type KeyType, messageOf, publicKeyOfSpki, SpiffeError } from '../../plugin-sdk/index.ts';
import { partOf, type VaultSession } from '../vault-client/vault-session.ts';

/** A key of the engine, as it is shown: its newest version. */
export interface TransitKey {
  readonly name: string;
  readonly type: KeyType;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  readonly fingerprint: string;
  readonly version: number;
  /** Milliseconds. */
  readonly createdAt: number;
}

export interface TransitSignature {
  /** Such as `sha2-256`. */
  readonly hash: string;
  readonly algorithm?: 'pkcs1v15' | 'pss';
  /** `hash`, `auto` or bytes. */
  readonly saltLength?: string;
}

const TYPES: Readonly<Record<KeyType, string>> = {
  'ec-p256': 'ecdsa-p256',
  'ec-p384': 'ecdsa-p384',
  'rsa-2048': 'rsa-2048',
  'rsa-4096': 'rsa-4096',
};
const MAX_SIGNATURE_CHARACTERS = 2048;

/** Calls of a Vault's transit engine. @throws as {@link VaultSession.request}; SpiffeError `FAILED_PRECONDITION` for odd answers */
export class Transit {
  readonly #vault: VaultSession;
  readonly #mountPoint: string;

  constructor(vault: VaultSession, mountPoint: string) {
    this.#vault = vault;
    this.#mountPoint = mountPoint;
  }

  async list(): Promise<readonly string[]> {
    const answer = await this.#vault.request({ method: 'LIST', path: `${this.#mountPoint}/keys` });
    const { keys = [] } = partOf(answer, 'data') ?? {};
    if (Array.isArray(keys) && keys.every((name) => typeof name === 'string')) return keys;
    throw this.#odd('the list of its keys');
  }

  /** Not exportable, and rotated by the server alone. */
  async create(name: string, type: KeyType): Promise<TransitKey> {
    const body = { type: TYPES[type], exportable: false, allow_plaintext_backup: false, auto_rotate_period: 0 };
    await this.#vault.request({ method: 'POST', path: this.#pathOf(name), body });
    return await this.read(name);
  }

  async read(name: string): Promise<TransitKey> {
    const answer = await this.#vault.request({ method: 'GET', path: this.#pathOf(name) });
    try {
      return toTransitKey(name, partOf(answer, 'data') ?? {});
    } catch (cause) {
      throw this.#odd(`the key "${name}": ${messageOf(cause)}`, cause);
    }
  }

  async delete(name: string): Promise<void> {
    await this.#vault.request({
      method: 'POST',
      path: `${this.#pathOf(name)}/config`,
      body: { deletion_allowed: true },
    });
    await this.#vault.request({ method: 'DELETE', path: this.#pathOf(name) });
  }

  /** @param digest hashed already. @returns ECDSA in DER, RSA as it comes */
  async sign({ name, version }: TransitKey, digest: Uint8Array, signature: TransitSignature): Promise<Uint8Array> {
    const answer = await this.#vault.request({
      method: 'POST',
      path: `${this.#mountPoint}/sign/${encodeURIComponent(name)}/${signature.hash}`,
      body: {
        input: Buffer.from(digest).toString('base64'),
        prehashed: true,
        marshaling_algorithm: 'asn1',
        key_version: version, // a version that somebody else has made is not what the server knows
        ...(signature.algorithm === undefined ? {} : { signature_algorithm: signature.algorithm }),
        ...(signature.saltLength === undefined ? {} : { salt_length: signature.saltLength }),
      },
    });
    const { signature: text } = partOf(answer, 'data') ?? {};
    const prefix = `vault:v${version}:`;
    if (typeof text !== 'string' || text.length > MAX_SIGNATURE_CHARACTERS || !text.startsWith(prefix)) {
      throw this.#odd(`a signature of "${name}"`);
    }
    return new Uint8Array(Buffer.from(text.slice(prefix.length), 'base64'));
  }

  #pathOf(name: string): string {
    return `${this.#mountPoint}/keys/${encodeURIComponent(name)}`;
  }

  #odd(what: string, cause?: unknown): SpiffeError {
    return new SpiffeError('FAILED_PRECONDITION', `${this.#vault.where} answered something odd for ${what}`, { cause });
  }
}

/** @throws Error, SpiffeError for what is no such key */
function toTransitKey(name: string, data: Readonly<Record<string, unknown>>): TransitKey {
  const type = Object.entries(TYPES).find(([, known]) => known === data.type)?.[0];
  const { latest_version: version } = data;
  if (type === undefined || !isKeyType(type)) throw new Error(`its type is ${JSON.stringify(data.type)}`);
  if (typeof version !== 'number' || !Number.isInteger(version)) throw new Error('it has no version');
  const { public_key: pem, creation_time: created } = partOf(partOf(data, 'keys'), String(version)) ?? {};
  const [publicKey] = typeof pem === 'string' ? decodePem(pem, 'PUBLIC KEY') : [];
  if (publicKey === undefined) throw new Error('its public key is not shown');
  publicKeyOfSpki(publicKey); // is one
  const createdAt = typeof created === 'string' ? Date.parse(created) : Number.NaN;
  if (Number.isNaN(createdAt)) throw new Error('when it was made is not told');
  const fingerprint = createHash('sha256').update(publicKey).digest('hex');
  return { name, type, publicKey, fingerprint, version, createdAt };
}

const isKeyType = (text: string): text is KeyType => Object.hasOwn(TYPES, text);
