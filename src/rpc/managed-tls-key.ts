import { randomUUID } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';
import { type KeyAddon, loadKeyAddon } from '../addon/key-addon.ts';
import { SpiffeError } from '../spiffe/error.ts';
import type { PluginSide } from './go-plugin.ts';
import { SigningThread } from './signing-thread.ts';

/** Where a key manager plugin serves. It must not be served by the process that uses its keys for TLS: that waits for it. */
export interface KeyEndpoint {
  readonly socketPath: string;
  /** Which of the two services of the same shape it serves. */
  readonly side: PluginSide;
  /** The one-time certificates of go-plugin's AutoMTLS, where it is on. */
  readonly autoMtls?: {
    readonly pluginCertificatePem: string;
    readonly certificatePem: string;
    readonly privateKeyPem: string;
  };
}

export interface ManagedTlsKeyOptions {
  readonly keyId: string;
  /** SubjectPublicKeyInfo, DER; EC or RSA. */
  readonly publicKey: Uint8Array;
  readonly endpoint: KeyEndpoint;
  /** Tells where the key manager serves each time that it was started again; without it, it serves where it did. */
  readonly onEndpointChange?: (listener: (endpoint: KeyEndpoint) => void) => Disposable;
  /** The key manager's name for this very key: once it answers with another, the key was replaced and signs no more. */
  readonly fingerprint?: string;
  /** How long a handshake, and with it this thread, waits for a signature. */
  readonly deadlineMs?: number;
}

const DEFAULT_DEADLINE_MS = 5_000;

/**
 * A private key for TLS that stays in its key manager: OpenSSL signs by asking `SignData` on another thread.
 * A signature that fails is a failed handshake, and {@link lastFailure} tells why.
 */
export class ManagedTlsKey implements AsyncDisposable {
  readonly keyId: string;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  readonly #addon: KeyAddon;
  readonly #identifier: string;
  readonly #thread: SigningThread;
  readonly #following: Disposable | undefined;
  #disposed = false;

  private constructor(options: ManagedTlsKeyOptions, addon: KeyAddon, identifier: string, thread: SigningThread) {
    this.keyId = options.keyId;
    this.publicKey = options.publicKey;
    this.#addon = addon;
    this.#identifier = identifier;
    this.#thread = thread;
    this.#following = options.onEndpointChange?.((endpoint) => thread.move(identifier, endpoint));
  }

  /**
   * Signs once and verifies that before it returns.
   *
   * @throws SpiffeError `FAILED_PRECONDITION` with the reason where that does not work.
   */
  static async open(options: ManagedTlsKeyOptions): Promise<ManagedTlsKey> {
    const { keyId, publicKey, fingerprint, deadlineMs = DEFAULT_DEADLINE_MS } = options;
    const addon = loadKeyAddon();
    const identifier = `${keyId}#${randomUUID()}`;
    const thread = await SigningThread.acquire();
    const key = new ManagedTlsKey(options, addon, identifier, thread);
    try {
      const { endpoint } = options; // now, not before the thread was there: it may have changed
      const threadId = await thread.open({ identifier, keyId, fingerprint, deadlineMs, endpoint });
      addon.registerKey(identifier, publicKey, threadId, deadlineMs);
      const failure = await addon.selfTest(identifier);
      if (failure !== '') throw new Error(failure);
      return key;
    } catch (cause) {
      await key[Symbol.asyncDispose]();
      const reason = cause instanceof Error ? cause.message : 'no reason given';
      throw new SpiffeError('FAILED_PRECONDITION', `the key "${keyId}" cannot be used for TLS: ${reason}`, { cause });
    }
  }

  /** What `tls.createSecureContext` takes in place of `key`. */
  get secureContextOptions(): Pick<SecureContextOptions, 'privateKeyEngine' | 'privateKeyIdentifier'> {
    if (this.#disposed) throw new SpiffeError('FAILED_PRECONDITION', `the key "${this.keyId}" is closed`);
    return { privateKeyEngine: this.#addon.engineId, privateKeyIdentifier: this.#identifier };
  }

  /** Why the newest signature failed; undefined where it was made. */
  get lastFailure(): string | undefined {
    if (this.#disposed) return 'the key is closed';
    return this.#addon.lastFailure(this.#identifier) || undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#following?.[Symbol.dispose]();
    this.#addon.unregisterKey(this.#identifier);
    this.#thread.close(this.#identifier);
    await this.#thread[Symbol.asyncDispose]();
  }
}
