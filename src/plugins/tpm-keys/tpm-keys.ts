import { createHash } from 'node:crypto';
import { access, mkdir } from 'node:fs/promises';
import { writeFileAtomically } from '../../files/write-file-atomically.ts';
import type { KeyRecord, SignatureOptions } from '../../plugin-sdk/index.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { TpmDevice, type TpmKey } from '../../tpm-device/device.ts';
import { createWrappedKey, type KeysPlace, loadParent, loadWrappedKey } from '../../tpm-device/load-wrapped-key.ts';
import { type DigestScheme, signWithKey } from '../../tpm-device/sign-with-key.ts';
import { loadStorageKey } from '../../tpm-device/storage-key.ts';
import { formatWrappedKeys, readWrappedKeys, type WrappedKey, wrappedKeysFile } from '../../tpm-device/wrapped-keys.ts';
import type { KeyType } from '../../x509/signer.ts';
import type { TpmKeysConfig } from './config.ts';

interface HeldKey {
  readonly wrapped: WrappedKey;
  readonly record: KeyRecord;
  /** How the TPM loads it fastest, until it is reset. */
  context?: Uint8Array | undefined;
}

/** The keys of one folder, in the one TPM that can use them. Each command sequence connects, and lets go of the TPM again. */
export class TpmKeys {
  readonly #config: TpmKeysConfig;
  readonly #keys: Map<string, HeldKey>;
  #parentName: Uint8Array | undefined;
  /** One sequence after the other: a TPM does one thing at a time. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(config: TpmKeysConfig, parentName: Uint8Array | undefined, keys: readonly WrappedKey[]) {
    this.#config = config;
    this.#parentName = parentName;
    this.#keys = new Map(keys.map((wrapped) => [wrapped.id, hold(wrapped)]));
  }

  /**
   * Reads the folder, and asks the TPM whether the keys are its own.
   *
   * @throws SpiffeError `FILE_UNUSABLE`, `TPM_UNAVAILABLE`
   */
  static async open(config: TpmKeysConfig): Promise<TpmKeys> {
    const stored = await readWrappedKeys(config.keys_path);
    const keys = new TpmKeys(config, stored?.parentName, stored?.keys ?? []);
    await keys.#withTpm(async (tpm) => {
      await using _parent = await loadParent(tpm, keys.#place, stored?.parentName);
    });
    return keys;
  }

  /** @throws SpiffeError `FAILED_PRECONDITION` for a type that this TPM does not make. */
  async generate(id: string, type: KeyType): Promise<KeyRecord> {
    return await this.#withTpm(async (tpm) => {
      await using parent = await loadParent(tpm, this.#place, this.#parentName);
      const wrapped = await createWrappedKey(tpm, parent, id, type);
      const others = [...this.#keys.values()].map((held) => held.wrapped).filter((other) => other.id !== id);
      const { keys_path: folder } = this.#config;
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const content = formatWrappedKeys({ parentName: parent.tpmName, keys: [...others, wrapped] });
      await writeFileAtomically(wrappedKeysFile(folder), content, 0o600);
      this.#parentName = parent.tpmName;
      const held = hold(wrapped);
      this.#keys.set(id, held);
      return held.record;
    });
  }

  find(id: string): KeyRecord | undefined {
    return this.#keys.get(id)?.record;
  }

  list(): readonly KeyRecord[] {
    return [...this.#keys.values()].map(({ record }) => record).toSorted((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** @throws SpiffeError `KEY_NOT_FOUND`, `ARGUMENT_INVALID`, `TPM_UNAVAILABLE`, `FILE_UNUSABLE` */
  async sign(
    id: string,
    digest: Uint8Array,
    options: SignatureOptions,
  ): Promise<{ signature: Uint8Array; fingerprint: string }> {
    const held = this.#keys.get(id);
    if (held === undefined) throw new SpiffeError('KEY_NOT_FOUND', `no such key "${id}"`);
    const scheme = toScheme(held.record.type, options);
    return await this.#withTpm(async (tpm) => {
      await using key = await this.#load(tpm, held);
      return { signature: await signWithKey(tpm, key, digest, scheme), fingerprint: held.record.fingerprint };
    });
  }

  /** Whether somebody has removed the file of these keys since. */
  async isFileGone(): Promise<boolean> {
    if (this.#keys.size === 0) return false;
    return await access(wrappedKeysFile(this.#config.keys_path)).then(
      () => false,
      (error: unknown) => error instanceof Error && 'code' in error && error.code === 'ENOENT',
    );
  }

  /** Whether the TPM has what wraps these keys still: once it was cleared, they are worth nothing. @throws SpiffeError `TPM_UNAVAILABLE` */
  async areOfTpm(): Promise<boolean> {
    const name = this.#parentName;
    return await this.#withTpm(async (tpm) => {
      await using parent = await loadStorageKey(tpm, { ownerAuthPath: this.#config.owner_auth_path, name });
      return name !== undefined && Buffer.compare(parent.tpmName, name) === 0;
    });
  }

  async #load(tpm: TpmDevice, held: HeldKey): Promise<TpmKey> {
    const { context } = held;
    if (context !== undefined) {
      try {
        return await tpm.loadContext(context);
      } catch {
        held.context = undefined; // the TPM was reset since; the file tells whether the key is still its own
      }
    }
    const parentName = this.#parentName ?? new Uint8Array(0);
    const key = await loadWrappedKey(tpm, this.#place, { parentName }, held.wrapped);
    held.context = await tpm.saveContext(key);
    return key;
  }

  async #withTpm<Result>(use: (tpm: TpmDevice) => Promise<Result>): Promise<Result> {
    const { tcti, lock_timeout: lockTimeoutMs } = this.#config;
    const run = this.#last.then(async () => {
      await using tpm = await TpmDevice.open(tcti, { lockTimeoutMs });
      return await use(tpm);
    });
    this.#last = run.catch(() => {});
    return await run;
  }

  get #place(): KeysPlace {
    return { keysPath: this.#config.keys_path, ownerAuthPath: this.#config.owner_auth_path };
  }
}

function hold(wrapped: WrappedKey): HeldKey {
  const { id, keyType, publicKey } = wrapped;
  const fingerprint = createHash('sha256').update(publicKey).digest('hex');
  return { wrapped, record: { id, type: keyType, publicKey, fingerprint } };
}

function toScheme(type: KeyType, options: SignatureOptions): DigestScheme {
  const isRsa = type === 'rsa-2048' || type === 'rsa-4096';
  const { hash } = options;
  if (options.scheme === 'default') return { scheme: isRsa ? 'rsa-pkcs1' : 'ecdsa', hash };
  if (!isRsa) throw new SpiffeError('ARGUMENT_INVALID', `PSS is for RSA keys, and this one is ${type}`);
  return { scheme: 'rsa-pss', hash, saltLength: pssSaltLength(options.saltLength) };
}

/** Go's constants: -1 as long as the hash, 0 as long as fits. */
function pssSaltLength(saltLength: number): number | 'digest' | 'longest' {
  if (saltLength === -1) return 'digest';
  return saltLength === 0 ? 'longest' : saltLength;
}
