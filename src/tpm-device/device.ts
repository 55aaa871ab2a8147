import { loadAddon } from '../addon/load-addon.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { type AkTemplateName, encodeAkTemplate } from '../tpm/ak-templates.ts';
import { type StrongHash, TPM_ALG, TPM_HASHES } from '../tpm/algorithms.ts';
import { type EkTemplate, encodeEkTemplate, findEkTemplate } from '../tpm/ek-templates.ts';
import { STORAGE_KEY_TEMPLATE } from '../tpm/key-templates.ts';
import {
  encodePcrSelections,
  type PcrRequest,
  type PcrSelection,
  readKnownPcrSelections,
} from '../tpm/pcr-selection.ts';
import { encodePublic, type PublicArea, parsePublic } from '../tpm/public-area.ts';
import { TpmReader } from '../tpm/tpm-reader.ts';
import { concat, u16 } from '../tpm/tpm-writer.ts';
import { deviceError, requireDeviceFile, tpmBusy } from './device-error.ts';
import type { NativeKey, NativeQuote, NativeTpm, NativeTpmContext, NativeWrappedKey } from './native-tpm.ts';
import { findPublic, isLoadedByUs } from './own-objects.ts';
import { TpmLock } from './tpm-lock.ts';
import { FIXED_PROPERTIES, PT_MANUFACTURER, type TpmProperties, toProperties } from './tpm-properties.ts';

/** First handles of a type: Part 2, §7.4. */
const FIRST_HANDLE = {
  nv: 0x01000000,
  loadedSession: 0x02000000,
  transient: 0x80000000,
  persistent: 0x81000000,
} as const;
/** Objects and sessions that are looked at, one after the other; a TPM has room for less. */
const MAX_OBJECTS = 256;
/** Longer than the slowest TPM takes to make an RSA key. */
const COMMAND_TIMEOUT_MS = 180_000;
const DEFAULT_LOCK_TIMEOUT_MS = 10_000;
const NO_AUTH = new Uint8Array(0);
/** These come with a resource manager: several programs at once, and nothing is left behind. */
const HAS_RESOURCE_MANAGER = /^(device:\/dev\/tpmrm\d+|tabrmd)(:|$)/;

export interface OpenOptions {
  /** How long to wait for a TPM that another program uses. */
  readonly lockTimeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** A key that the TPM holds for us. Disposing flushes it; a persistent one stays. */
export class TpmKey implements AsyncDisposable {
  readonly #flush: () => Promise<void>;
  /** For {@link TpmDevice} alone. */
  readonly id: number;
  /** TPM2B_PUBLIC. */
  readonly publicBytes: Uint8Array;
  readonly publicArea: PublicArea;
  readonly tpmName: Uint8Array;

  constructor(key: NativeKey, flush: () => Promise<void>) {
    this.id = key.id;
    this.publicBytes = key.publicArea;
    this.publicArea = parsePublic(key.publicArea);
    this.tpmName = key.name;
    this.#flush = flush;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#flush();
  }
}

/** An open TPM. Disposing flushes whatever this process still holds there. */
export class TpmDevice implements AsyncDisposable {
  readonly #tcti: string;
  readonly #context: NativeTpmContext;
  readonly #lock: TpmLock | undefined;
  readonly #signal: AbortSignal | undefined;
  #isOpen = true;
  #isConnected = false;

  private constructor(
    tcti: string,
    context: NativeTpmContext,
    lock: TpmLock | undefined,
    signal: AbortSignal | undefined,
  ) {
    this.#tcti = tcti;
    this.#context = context;
    this.#lock = lock;
    this.#signal = signal;
  }

  /**
   * @param tcti a TCTI string of tpm2-tss, such as `device:/dev/tpmrm0`, `swtpm:host=127.0.0.1,port=2321` or `tabrmd`
   * @throws SpiffeError `TPM_UNAVAILABLE`: absent, busy, or not permitted, and what to do
   */
  static async open(
    tcti: string,
    { lockTimeoutMs = DEFAULT_LOCK_TIMEOUT_MS, signal }: OpenOptions = {},
  ): Promise<TpmDevice> {
    const addon = loadAddon('tpm') as NativeTpm;
    await requireDeviceFile(tcti);
    const deadline = performance.now() + lockTimeoutMs;
    const lock = HAS_RESOURCE_MANAGER.test(tcti)
      ? undefined
      : await TpmLock.acquire(tcti, { tryLock: addon.tryLock, timeoutMs: lockTimeoutMs, signal });
    const device = new TpmDevice(tcti, new addon.TpmContext(tcti), lock, signal);
    try {
      const remainingMs = Math.max(1, deadline - performance.now());
      const timeoutError = () => tpmBusy(tcti, lockTimeoutMs);
      await device.#within(device.#connect(), { timeoutMs: remainingMs, timeoutError, signal });
      await device.#sweep();
      return device;
    } catch (error) {
      await device[Symbol.asyncDispose]();
      throw error;
    }
  }

  async readProperties(): Promise<TpmProperties> {
    return toProperties(await this.readPropertyRange(FIXED_PROPERTIES.first, FIXED_PROPERTIES.count));
  }

  /** TPM_PT by number. */
  async readPropertyRange(first: number, count: number): Promise<ReadonlyMap<number, number>> {
    return new Map(await this.#run((tpm) => tpm.readProperties(first, count)));
  }

  /** TPML_ALG_PROPERTY. */
  readAlgorithms(): Promise<Uint8Array> {
    return this.#run((tpm) => tpm.readAlgorithms());
  }

  /** TPML_ECC_CURVE. */
  readCurves(): Promise<Uint8Array> {
    return this.#run((tpm) => tpm.readCurves());
  }

  /** TPMS_TIME_INFO. */
  readClock(): Promise<Uint8Array> {
    return this.#run((tpm) => tpm.readClock());
  }

  /** The whole content of an NV index; undefined where it is not defined or was never written. */
  findNv(index: number): Promise<Uint8Array | undefined> {
    return this.#run((tpm) => tpm.readNv(index));
  }

  /** NV indices from `first` on, ascending. */
  listNv(first: number = FIRST_HANDLE.nv): Promise<readonly number[]> {
    return this.#run((tpm) => tpm.readHandles(first));
  }

  /** The PCR banks that are allocated. */
  async readPcrBanks(): Promise<readonly PcrSelection[]> {
    const bytes = await this.#run((tpm) => tpm.readPcrBanks());
    const banks = readKnownPcrSelections(new TpmReader(bytes, 'TPML_PCR_SELECTION'));
    return banks.filter(({ indices }) => indices.length > 0);
  }

  /** The values in ascending order of index; fewer where the TPM does not have them all. */
  async readPcrs({ bank, indices }: PcrSelection): Promise<readonly Uint8Array[]> {
    const values = await this.#run((tpm) => tpm.readPcrs(encodePcrSelections([{ bank, indices }])));
    return values.toSorted((a, b) => a.index - b.index).map(({ digest }) => digest);
  }

  /** The authorization of the endorsement hierarchy, where it has one. */
  setEndorsementAuth(auth: Uint8Array): Promise<void> {
    return this.#run((tpm) => tpm.setEndorsementAuth(auth));
  }

  createEk(template: EkTemplate): Promise<TpmKey> {
    return this.#load((tpm) => tpm.createEk(encodeEkTemplate(template)));
  }

  /** A persistent object that was made from this template and fulfils `isWanted`, so that the key need not be made again. */
  findPersistentEk(template: EkTemplate, isWanted: (area: PublicArea) => boolean): Promise<TpmKey | undefined> {
    return this.findPersistent((area) => findEkTemplate(area)?.name === template.name && isWanted(area));
  }

  async findPersistent(isWanted: (area: PublicArea) => boolean): Promise<TpmKey | undefined> {
    const handles = await this.#run((tpm) => tpm.readHandles(FIRST_HANDLE.persistent));
    for (const handle of handles.slice(0, MAX_OBJECTS)) {
      const native = await this.#run((tpm) => tpm.openObject(handle));
      const area = findPublic(native.publicArea);
      if (area !== undefined && isWanted(area)) {
        return new TpmKey(native, () => this.#flush(native));
      }
      await this.#flush(native);
    }
    return undefined;
  }

  /** A restricted signing key below the EK. */
  createAk(ek: TpmKey, template: EkTemplate, ak: AkTemplateName): Promise<TpmKey> {
    return this.#load((tpm) => tpm.createAk(ek.id, authorizationOf(template), encodeAkTemplate(ak)));
  }

  /**
   * TPM2_ActivateCredential.
   *
   * @param credential TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET
   * @returns certInfo
   */
  activateCredential(
    keys: { ek: TpmKey; ekTemplate: EkTemplate; ak: TpmKey },
    credential: { credentialBlob: Uint8Array; encryptedSecret: Uint8Array },
  ): Promise<Uint8Array> {
    const authorization = authorizationOf(keys.ekTemplate);
    const { credentialBlob, encryptedSecret } = credential;
    return this.#run((tpm) =>
      tpm.activateCredential(keys.ak.id, keys.ek.id, authorization, credentialBlob, encryptedSecret),
    );
  }

  /** TPM2_Quote by the scheme of the AK. */
  quote(ak: TpmKey, qualifyingData: Uint8Array, { bank, indices }: PcrRequest): Promise<NativeQuote> {
    return this.#run((tpm) => tpm.quote(ak.id, qualifyingData, encodePcrSelections([{ bank, indices }])));
  }

  /** The authorization of the owner hierarchy, where it has one. */
  setOwnerAuth(auth: Uint8Array): Promise<void> {
    return this.#run((tpm) => tpm.setOwnerAuth(auth));
  }

  /** A primary key of the owner hierarchy. */
  createStorageKey(template: PublicArea = STORAGE_KEY_TEMPLATE): Promise<TpmKey> {
    return this.#load((tpm) => tpm.createStorageKey(encodePublic(template)));
  }

  /**
   * Makes a key below `parent`, which comes out wrapped: {@link loadKey} loads it.
   *
   * @param auth what every use of the key asks for, see {@link setKeyAuth}
   */
  createKey(parent: TpmKey, template: PublicArea, auth: Uint8Array = NO_AUTH): Promise<NativeWrappedKey> {
    return this.#run((tpm) => tpm.createKey(parent.id, encodePublic(template), auth));
  }

  loadKey(parent: TpmKey, { publicArea, privateArea }: NativeWrappedKey): Promise<TpmKey> {
    return this.#load((tpm) => tpm.loadKey(parent.id, publicArea, privateArea));
  }

  setKeyAuth(key: TpmKey, auth: Uint8Array): Promise<void> {
    return this.#run((tpm) => tpm.setKeyAuth(key.id, auth));
  }

  /** What {@link loadContext} loads the key from without its parent, until the TPM is reset. */
  saveContext(key: TpmKey): Promise<Uint8Array> {
    return this.#run((tpm) => tpm.saveContext(key.id));
  }

  loadContext(context: Uint8Array): Promise<TpmKey> {
    return this.#load((tpm) => tpm.loadContext(context));
  }

  /** TPM2_Sign with ECDSA, of a digest of that hash's length. @returns TPMT_SIGNATURE */
  signDigest(key: TpmKey, digest: Uint8Array, hash: StrongHash): Promise<Uint8Array> {
    const scheme = concat(u16(TPM_ALG.ECDSA), u16(TPM_HASHES[hash].id));
    return this.#run((tpm) => tpm.signDigest(key.id, digest, scheme));
  }

  /** TPM2_Sign by the key's own scheme. @returns TPMT_SIGNATURE */
  signByOwnScheme(key: TpmKey, digest: Uint8Array): Promise<Uint8Array> {
    return this.#run((tpm) => tpm.signDigest(key.id, digest, u16(TPM_ALG.NULL)));
  }

  /** RSA's private operation on a number as long as the modulus. */
  applyRsaKey(key: TpmKey, number: Uint8Array): Promise<Uint8Array> {
    return this.#run((tpm) => tpm.applyRsaKey(key.id, number));
  }

  /** TPM2_Certify: the AK says that the key is in its TPM. */
  certifyKey(key: TpmKey, ak: TpmKey, qualifyingData: Uint8Array): Promise<NativeQuote> {
    return this.#run((tpm) => tpm.certifyKey(key.id, ak.id, qualifyingData));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await using _lock = this.#lock;
    if (!this.#isOpen) return;
    this.#isOpen = false;
    await this.#within(this.#context.close(), { timeoutMs: COMMAND_TIMEOUT_MS, timeoutError: () => this.#noAnswer() });
    if (this.#isConnected) this.#lock?.finish();
  }

  async #connect(): Promise<void> {
    await this.#context.open();
    await this.#context.readProperties(PT_MANUFACTURER, 1); // connecting alone does not tell that the TPM answers
    this.#isConnected = true;
  }

  /**
   * Flushes what a process of ours that was killed left in a TPM without a resource manager: objects from templates of
   * ours, and sessions, that were not there before it.
   */
  async #sweep(): Promise<void> {
    const lock = this.#lock;
    if (lock === undefined) return;
    const heldBefore = await lock.readUnfinished();
    const held: number[] = [];
    for (const first of [FIRST_HANDLE.transient, FIRST_HANDLE.loadedSession]) {
      const handles = await this.#run((tpm) => tpm.readHandles(first));
      for (const handle of handles.slice(0, MAX_OBJECTS)) {
        const isLeft = heldBefore !== undefined && !heldBefore.has(handle);
        if (isLeft && (first === FIRST_HANDLE.loadedSession || (await this.#isOurs(handle)))) {
          await this.#run((tpm) => tpm.flushForeign(handle));
        } else {
          held.push(handle);
        }
      }
    }
    await lock.writeUnfinished(held);
  }

  async #isOurs(handle: number): Promise<boolean> {
    const object = await this.#run((tpm) => tpm.openObject(handle));
    await this.#flush(object);
    return isLoadedByUs(object.publicArea);
  }

  async #load(command: (tpm: NativeTpmContext) => Promise<NativeKey>): Promise<TpmKey> {
    const native = await this.#run(command);
    return new TpmKey(native, () => this.#flush(native));
  }

  async #flush({ id }: NativeKey): Promise<void> {
    if (this.#isOpen) await this.#context.flush(id);
  }

  #run<T>(command: (tpm: NativeTpmContext) => Promise<T>): Promise<T> {
    if (!this.#isOpen) throw new SpiffeError('TPM_UNAVAILABLE', `the TPM at "${this.#tcti}" is closed`);
    return this.#within(command(this.#context), {
      timeoutMs: COMMAND_TIMEOUT_MS,
      timeoutError: () => this.#noAnswer(),
      signal: this.#signal,
    });
  }

  /**
   * A blocked command cannot be taken back. When time is out, the TPM is given up; when the caller's signal aborts, the
   * command ends by itself and disposing waits for it, unless we are not connected yet and may never be.
   */
  async #within<T>(work: Promise<T>, { timeoutMs, timeoutError, signal }: Limits): Promise<T> {
    const { promise: givenUp, reject } = Promise.withResolvers<never>();
    const giveUp = (reason: unknown) => {
      this.#isOpen = false;
      reject(reason);
      this.#context.abandon();
    };
    const onAbort = () => (this.#isConnected ? reject : giveUp)(signal?.reason);
    const timer = setTimeout(() => giveUp(timeoutError()), timeoutMs);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      if (signal?.aborted === true) onAbort();
      return await Promise.race([givenUp, work]);
    } catch (error) {
      throw deviceError(error, this.#tcti);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  #noAnswer(): SpiffeError {
    const seconds = COMMAND_TIMEOUT_MS / 1000;
    return new SpiffeError('TPM_UNAVAILABLE', `the TPM at "${this.#tcti}" gave no answer for ${seconds} s: restart it`);
  }
}

interface Limits {
  readonly timeoutMs: number;
  readonly timeoutError: () => Error;
  readonly signal?: AbortSignal | undefined;
}

/** EK Credential Profile 2.5, §B.6: a low-range key has no user authorization, a high-range one an empty one. */
function authorizationOf({ range }: EkTemplate): 'policy-secret' | 'password' {
  return range === 'low' ? 'policy-secret' : 'password';
}
