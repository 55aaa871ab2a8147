import { loadAddon } from './load-addon.ts';

/** A software private key inside the addon. */
export interface NativeRawKey {
  /** @param hash empty where the bytes are no digest. @param saltLength bytes, -1 for the digest's, -3 for the longest. */
  signDigest(digest: Uint8Array, scheme: string, hash: string, saltLength: number): Uint8Array;
  close(): void;
}

/** Runs on the thread that attached, for a thread that waits. Answer with `completeSignature`. */
export type OnSignatureRequest = (
  requestId: number,
  keyIdentifier: string,
  digest: Uint8Array,
  hash: string,
  scheme: string,
  saltLengthBytes: number,
) => void;

/** What `native/key` exports. Its functions throw plain errors. */
export interface KeyAddon {
  readonly RawKey: new (pkcs8: Uint8Array) => NativeRawKey;
  /** For `privateKeyEngine` of a secure context. */
  readonly engineId: string;
  /** @returns the thread's id, for `registerKey` on any thread. */
  attachSigningThread(onRequest: OnSignatureRequest): number;
  detachSigningThread(threadId: number): void;
  /** @param signature empty on failure, which `failure` then tells. */
  completeSignature(threadId: number, requestId: number, signature: Uint8Array, failure: string): void;
  registerKey(identifier: string, publicKey: Uint8Array, threadId: number, deadlineMs: number): void;
  /** Signs and verifies once, without blocking this thread. @returns why that failed, or an empty text. */
  selfTest(identifier: string): Promise<string>;
  /** Why the newest signature failed; empty where it did not. */
  lastFailure(identifier: string): string;
  unregisterKey(identifier: string): void;
}

/** @throws SpiffeError `FAILED_PRECONDITION` where it was not built for this machine. */
export const loadKeyAddon = (): KeyAddon => loadAddon('key') as KeyAddon;
