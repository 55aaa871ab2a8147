/** What `native/tpm` exports: ESYS, promised. Structures are marshalled bytes. */
export interface NativeTpm {
  readonly TpmContext: new (tcti: string) => NativeTpmContext;
  /** An exclusive flock of an open file; false where somebody else has it. */
  tryLock(fd: number): boolean;
}

/** How an endorsement key authorizes its use. */
export type EkAuthorization = 'policy-secret' | 'password';

export interface NativeKey {
  /** Names the key to the context that made it. */
  readonly id: number;
  /** The TPM's own number. */
  readonly handle: number;
  /** TPM2B_PUBLIC. */
  readonly publicArea: Uint8Array;
  readonly name: Uint8Array;
}

export interface NativeQuote {
  /** TPMS_ATTEST. */
  readonly attest: Uint8Array;
  /** TPMT_SIGNATURE. */
  readonly signature: Uint8Array;
}

/** A key outside of the TPM, which its parent alone can load. */
export interface NativeWrappedKey {
  /** TPM2B_PUBLIC. */
  readonly publicArea: Uint8Array;
  /** TPM2B_PRIVATE. */
  readonly privateArea: Uint8Array;
}

/** One connection, whose commands run in order on a thread of its own. A failure of the TPM rejects with a {@link NativeTpmError}. */
export interface NativeTpmContext {
  open(): Promise<void>;
  /** Flushes everything that this context loaded, and disconnects. */
  close(): Promise<void>;
  /** Rejects what is under way and lets go of a thread that may be blocked; it flushes and disconnects once it is not. */
  abandon(): void;
  readProperties(first: number, count: number): Promise<[property: number, value: number][]>;
  /** TPML_ALG_PROPERTY. */
  readAlgorithms(): Promise<Uint8Array>;
  /** TPML_ECC_CURVE. */
  readCurves(): Promise<Uint8Array>;
  /** TPMS_TIME_INFO. */
  readClock(): Promise<Uint8Array>;
  readHandles(first: number): Promise<number[]>;
  /** TPML_PCR_SELECTION. */
  readPcrBanks(): Promise<Uint8Array>;
  readNv(index: number): Promise<Uint8Array | undefined>;
  /** @param selection TPML_PCR_SELECTION */
  readPcrs(selection: Uint8Array): Promise<{ hash: number; index: number; digest: Uint8Array }[]>;
  setEndorsementAuth(auth: Uint8Array): Promise<void>;
  createEk(publicTemplate: Uint8Array): Promise<NativeKey>;
  /** Refers to what the TPM holds already: flushing this key forgets it, and leaves it there. */
  openObject(handle: number): Promise<NativeKey>;
  createAk(ek: number, ekAuthorization: EkAuthorization, publicTemplate: Uint8Array): Promise<NativeKey>;
  activateCredential(
    ak: number,
    ek: number,
    ekAuthorization: EkAuthorization,
    credentialBlob: Uint8Array,
    encryptedSecret: Uint8Array,
  ): Promise<Uint8Array>;
  quote(ak: number, qualifyingData: Uint8Array, selection: Uint8Array): Promise<NativeQuote>;
  setOwnerAuth(auth: Uint8Array): Promise<void>;
  /** A primary key of the owner hierarchy. */
  createStorageKey(publicTemplate: Uint8Array): Promise<NativeKey>;
  /** @param auth the new key's, which may be empty */
  createKey(parent: number, publicTemplate: Uint8Array, auth: Uint8Array): Promise<NativeWrappedKey>;
  loadKey(parent: number, publicArea: Uint8Array, privateArea: Uint8Array): Promise<NativeKey>;
  /** For `signDigest` and `certifyKey`. */
  setKeyAuth(key: number, auth: Uint8Array): Promise<void>;
  /** TPMS_CONTEXT, good until the TPM is reset. */
  saveContext(key: number): Promise<Uint8Array>;
  loadContext(context: Uint8Array): Promise<NativeKey>;
  /** @param scheme TPMT_SIG_SCHEME. @returns TPMT_SIGNATURE */
  signDigest(key: number, digest: Uint8Array, scheme: Uint8Array): Promise<Uint8Array>;
  /** RSA's private operation. */
  applyRsaKey(key: number, number: Uint8Array): Promise<Uint8Array>;
  /** TPM2_Certify. */
  certifyKey(key: number, ak: number, qualifyingData: Uint8Array): Promise<NativeQuote>;
  /** Flushes a key that this context made. */
  flush(id: number): Promise<void>;
  /** Flushes what another process left behind, by the TPM's number. */
  flushForeign(handle: number): Promise<void>;
}

/** `rc` is the TPM's or tpm2-tss's return code, its layer in bits 16 to 23. */
export interface NativeTpmError extends Error {
  readonly rc: number;
  readonly command: string;
}

export function isNativeTpmError(error: unknown): error is NativeTpmError {
  return error instanceof Error && 'rc' in error && typeof error.rc === 'number';
}
