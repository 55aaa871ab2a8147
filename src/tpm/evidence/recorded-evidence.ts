import type { StrongHash } from '../algorithms.ts';

/** What a TPM and a kernel said at one time: all that a server judges of a node but the proof that the AK is in the EK's TPM. */
export interface RecordedEvidence {
  /** Nobody vouches for it. */
  readonly recordedAt: Date;
  /** TPM2B_PUBLIC. */
  readonly ekPublic: Uint8Array;
  /** Exact DER: the EK's own, and any above it. */
  readonly ekCertificates: readonly Uint8Array[];
  /** TPM2B_PUBLIC. */
  readonly akPublic: Uint8Array;
  /** The qualifying data of every quote. */
  readonly nonce: Uint8Array;
  /** One a bank. */
  readonly quotes: readonly RecordedQuote[];
  /** As `/sys/kernel/security/tpm0/binary_bios_measurements` has it. */
  readonly eventLog?: Uint8Array | undefined;
  /** As `/sys/kernel/security/ima/binary_runtime_measurements` has it, read after the quotes. */
  readonly imaLog?: Uint8Array | undefined;
  /** The text of /proc/cmdline. */
  readonly commandLine?: string | undefined;
}

export interface RecordedQuote {
  readonly bank: StrongHash;
  /** By index, ascending. */
  readonly pcrs: ReadonlyMap<number, Uint8Array>;
  /** TPMS_ATTEST, the bytes that were signed. */
  readonly quote: Uint8Array;
  /** TPMT_SIGNATURE. */
  readonly signature: Uint8Array;
}

/** Of a nonce, in bytes: what nobody guesses, and what TPMS_ATTEST has room for. */
export const NONCE_BYTES = { min: 16, max: 64 } as const;
