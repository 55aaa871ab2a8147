import type { Logger } from '../log/logger.ts';
import { isSpiffeError, messageOf, SpiffeError } from '../spiffe/error.ts';
import type { KeyType } from '../x509/signer.ts';
import { CryptokiError, isLost, isMaybeLost } from './cryptoki-error.ts';
import { describe, type TokenSelection } from './find-token.ts';
import { logIn } from './log-in.ts';
import type { CallKind, Calls, Connection, FoundToken, KeyName, ListedKey, SignatureScheme } from './protocol.ts';
import type { RefusedPins } from './refused-pins.ts';
import { ThreadPool } from './thread-pool.ts';
import type { TokenThread } from './token-thread.ts';

export interface Pkcs11TokenOptions {
  readonly modulePath: string;
  readonly selection: TokenSelection;
  /** How many calls are in flight at most: one session and one thread each. */
  readonly maxSessions: number;
  /** Read anew at each log-in. @throws SpiffeError */
  readonly readPin: () => Promise<string>;
  readonly refusedPins: RefusedPins;
  readonly log: Logger;
  /** How long to wait for the module: a little less than a host waits for a key manager by default, so that it hears the reason. */
  readonly callMs?: number | undefined;
}

const CALL_MS = 25_000;
/** Making a key may take a token minutes; who asked for it may be gone by then. */
const GENERATE_MS = 600_000;
const CLOSE_MS = 3_000;
/** What may mean anything is a reason to connect again, or to start the module again, no more often than this. */
const DOUBTFUL_MS = 5_000;

interface Connected extends Connection {
  readonly token: FoundToken;
  readonly since: number;
}

/**
 * A token of a PKCS#11 module, logged in: it survives that the token is pulled and put back, its service is started again, or
 * somebody logs out. What was lost is asked for once more in a new connection. The module is called by other threads alone.
 */
export class Pkcs11Token implements AsyncDisposable {
  /** Tokens that this process has open, by their module: none ends a module that others use. */
  static readonly #users = new Map<string, number>();
  /** Modules that said that they want to be called by one thread alone. */
  static readonly #singleThreaded = new Set<string>();

  readonly #options: Pkcs11TokenOptions;
  readonly #pool: ThreadPool;
  #connected: Connected | undefined;
  #connecting: Promise<Connected> | undefined;
  #last: Connected | undefined;
  #needsRestart = false;
  #restartedAt = Number.NEGATIVE_INFINITY;
  #count = 0;
  #isClosed = false;

  private constructor(options: Pkcs11TokenOptions) {
    this.#options = options;
    const { modulePath } = options;
    this.#pool = new ThreadPool(modulePath, options.maxSessions);
    if (Pkcs11Token.#singleThreaded.has(modulePath)) this.#pool.restrict(1);
    Pkcs11Token.#users.set(modulePath, this.#usersOfModule + 1);
  }

  /** @throws SpiffeError with what to do: no such module or token, two of them, the PIN */
  static async open(options: Pkcs11TokenOptions): Promise<Pkcs11Token> {
    const token = new Pkcs11Token(options);
    try {
      await token.#connect();
      return token;
    } catch (error) {
      await token[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** What the token says of itself, as of the newest connection. */
  get facts(): FoundToken | undefined {
    return this.#last?.token;
  }

  /** The keys whose label begins with `prefix`. */
  async list(prefix: string): Promise<readonly ListedKey[]> {
    return await this.#call('list', (at) => ({ at, prefix }), this.#callMs);
  }

  /** @returns SubjectPublicKeyInfo, DER. @throws SpiffeError `FAILED_PRECONDITION` for a type that the token does not make */
  async generate(name: KeyName, type: KeyType): Promise<Uint8Array> {
    return await this.#call('generate', (at) => ({ at, name, type }), GENERATE_MS);
  }

  async destroy(names: readonly KeyName[]): Promise<void> {
    await this.#call('destroy', (at) => ({ at, names }), this.#callMs);
  }

  /** @returns ECDSA-Sig-Value in DER, or the bytes of RSA; undefined where the token does not have the key. */
  async sign(
    name: KeyName,
    request: { readonly type: KeyType; readonly digest: Uint8Array; readonly how: SignatureScheme },
  ): Promise<Uint8Array | undefined> {
    const call = () => this.#call('sign', (at) => ({ at, name, ...request }), this.#callMs);
    const signature = await call();
    if (signature !== undefined || performance.now() - this.#restartedAt < DOUBTFUL_MS) return signature;
    // Modules say the same where the whole token has gone.
    this.#lose('a key is missing', true);
    return await call();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    Pkcs11Token.#users.set(this.#options.modulePath, this.#usersOfModule - 1);
    await this.#pool.close(CLOSE_MS, this.#usersOfModule === 0);
  }

  get #callMs(): number {
    return this.#options.callMs ?? CALL_MS;
  }

  get #usersOfModule(): number {
    return Pkcs11Token.#users.get(this.#options.modulePath) ?? 0;
  }

  async #call<Kind extends CallKind>(
    kind: Kind,
    request: (at: Connection) => Calls[Kind]['request'],
    deadlineMs: number,
  ): Promise<Calls[Kind]['answer']> {
    for (let isFirst = true; ; ) {
      const connected = this.#connected ?? (await this.#connect());
      const thread = await this.#pool.take(this.#callMs);
      try {
        if (connected !== this.#connected) continue; // lost while this waited for a thread
        const { slot, number } = connected;
        return await thread.call(kind, request({ slot, number }), deadlineMs);
      } catch (error) {
        if (!(error instanceof CryptokiError)) throw error;
        if (this.#hasNoRoom(error)) continue;
        if (!this.#isLost(connected, error) || !isFirst) throw this.#explain(error);
        isFirst = false;
      } finally {
        this.#pool.give(thread);
      }
    }
  }

  /** Where the token has no more sessions, those that there are do. */
  #hasNoRoom({ returned }: CryptokiError): boolean {
    if (returned !== 'CKR_SESSION_COUNT' || this.#pool.size <= 1) return false;
    this.#pool.restrict(this.#pool.size - 1);
    return true;
  }

  /** Whether the same can be tried in another connection. */
  #isLost(connected: Connected, error: CryptokiError): boolean {
    if (connected !== this.#connected) return true; // somebody else noticed
    const isOld = performance.now() - connected.since > DOUBTFUL_MS;
    if (!isLost(error) && !(isMaybeLost(error) && isOld)) return false;
    this.#lose(error.message, false);
    return true;
  }

  #lose(reason: string, needsRestart: boolean): void {
    this.#connected = undefined;
    this.#needsRestart ||= needsRestart;
    this.#options.log.log('warning', 'lost the PKCS#11 token, connecting again', { reason });
  }

  async #connect(): Promise<Connected> {
    this.#connecting ??= this.#reconnect().finally(() => {
      this.#connecting = undefined;
    });
    return await this.#connecting;
  }

  async #reconnect(): Promise<Connected> {
    await this.#pool.untilQuiet(this.#callMs);
    const thread = await this.#pool.take(this.#callMs);
    try {
      const connected = await this.#tryAll(thread);
      this.#connected = connected;
      this.#last = connected;
      return connected;
    } catch (error) {
      throw error instanceof CryptokiError ? this.#explain(error) : error;
    } finally {
      this.#pool.give(thread);
    }
  }

  /** With new sessions first; where that is not enough, and nobody else is in the module, with the module started again. */
  async #tryAll(thread: TokenThread): Promise<Connected> {
    const slot = this.#last?.slot;
    if (slot === undefined) return await this.#try(thread, undefined);
    if (this.#needsRestart && this.#canRestart(thread)) return await this.#tryRestarted(thread, 'a key is missing');
    try {
      return await this.#try(thread, { slot });
    } catch (error) {
      const isWorthIt =
        error instanceof CryptokiError ? isLost(error) || isMaybeLost(error) : isSpiffeError(error, 'UNAVAILABLE');
      if (!isWorthIt || !this.#canRestart(thread)) throw error;
      return await this.#tryRestarted(thread, messageOf(error));
    }
  }

  #canRestart(thread: TokenThread): boolean {
    return !thread.isBusy && this.#pool.isQuiet && this.#usersOfModule === 1;
  }

  async #tryRestarted(thread: TokenThread, reason: string): Promise<Connected> {
    this.#options.log.log('info', 'starting the PKCS#11 module again', { reason });
    this.#needsRestart = false;
    this.#restartedAt = performance.now();
    return await this.#try(thread, 'module');
  }

  async #try(thread: TokenThread, anew: Calls['find']['request']['anew']): Promise<Connected> {
    const { selection, modulePath, readPin, refusedPins } = this.#options;
    const token = await thread.call('find', { selection, anew }, this.#callMs);
    if (token.isSingleThreaded) Pkcs11Token.#singleThreaded.add(modulePath);
    this.#pool.restrict(token.isSingleThreaded ? 1 : (token.maxSessions ?? Number.POSITIVE_INFINITY));
    this.#count += 1;
    const at = { slot: token.slot, number: this.#count };
    await logIn(token, {
      readPin,
      refusedPins,
      logIn: async (pin) => void (await thread.call('logIn', { at, pin }, this.#callMs)),
    });
    return { ...at, token, since: performance.now() };
  }

  #explain(error: CryptokiError): SpiffeError {
    const isAway = isLost(error) || isMaybeLost(error) || error.returned === 'CKR_SESSION_COUNT';
    const which = `the PKCS#11 token with ${describe(this.#options.selection)}`;
    return new SpiffeError(isAway ? 'UNAVAILABLE' : 'INTERNAL', `${which} does not do it: ${error.message}`, {
      cause: error,
    });
  }
}
