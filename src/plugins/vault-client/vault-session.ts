import { isSpiffeError, messageOf, type PluginContext, readCapped, SpiffeError } from '../../plugin-sdk/index.ts';
import type { VaultLogin, VaultSettings } from './config.ts';
import { type VaultAnswer, VaultHttp, type VaultRequest } from './vault-http.ts';

type Log = PluginContext['log'];

type AuthenticatedLogin = Exclude<VaultLogin, { readonly method: 'token' }>;

/** What a log-in has given. */
interface Token {
  readonly text: string;
  readonly isRenewable: boolean;
  /** Undefined: it does not end. */
  readonly leaseMs: number | undefined;
  /** By `performance.now()`. */
  readonly endsAt: number;
}

/** Of a lease, when it is renewed. */
const RENEW_AT = 2 / 3;
const RETRY_MS = 5_000;
/** Node's longest timer; a lease that is longer is renewed sooner than it would have to be. */
const LONGEST_WAIT_MS = 2 ** 31 - 1;

/**
 * A Vault, and who this plugin is for it: logs in at the first request, renews what it was given while that is possible, and logs
 * in again once it is not. Disposing drops the token; it is not revoked, as it may be the operator's.
 */
export class VaultSession implements Disposable {
  readonly #http: VaultHttp;
  readonly #login: VaultLogin;
  readonly #log: Log;
  readonly #end = new AbortController();
  #token: Token | undefined;
  #loggingIn: Promise<Token> | undefined;
  #timer: NodeJS.Timeout | undefined;

  private constructor(http: VaultHttp, login: VaultLogin, log: Log) {
    this.#http = http;
    this.#login = login;
    this.#log = log;
  }

  /** Nothing is asked yet. @throws SpiffeError `CONFIG_INVALID` for files that cannot be used */
  static async open(settings: VaultSettings, log: Log): Promise<VaultSession> {
    if (settings.insecureSkipVerify) {
      log.warning('insecure_skip_verify: whoever answers is taken for the Vault, and is shown the token');
    }
    return new VaultSession(await VaultHttp.open(settings), settings.login, log);
  }

  [Symbol.dispose](): void {
    this.#end.abort();
    clearTimeout(this.#timer);
    this.#token = undefined;
    this.#http[Symbol.dispose]();
  }

  get where(): string {
    return this.#http.where;
  }

  /** With the token of the moment; one that the Vault no longer knows is replaced, once. @throws as {@link VaultHttp.request} */
  async request(request: Omit<VaultRequest, 'token'>, signal = this.#end.signal): Promise<VaultAnswer> {
    const token = await this.#currentFor(signal);
    try {
      return await this.#http.request({ ...request, token: token.text }, signal);
    } catch (error) {
      if (!isSpiffeError(error, 'PERMISSION_DENIED') || this.#login.method === 'token') throw error;
      if (this.#token?.text === token.text) this.#token = undefined; // it may have been renewed meanwhile, and is the same
      const next = await this.#currentFor(signal);
      return await this.#http.request({ ...request, token: next.text }, signal);
    }
  }

  /** Another request that waits for the same log-in goes on waiting. */
  async #currentFor(signal: AbortSignal): Promise<Token> {
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    const onAbort = () => reject(new SpiffeError('CANCELLED', `${this.where} was not waited for`));
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort);
    try {
      return await Promise.race([this.#current(), aborted]);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  async #current(): Promise<Token> {
    if (this.#token !== undefined && performance.now() < this.#token.endsAt) return this.#token;
    this.#loggingIn ??= this.#logIn().finally(() => {
      this.#loggingIn = undefined;
    });
    return await this.#loggingIn;
  }

  async #logIn(): Promise<Token> {
    const askedAt = performance.now();
    const login = this.#login;
    const token = login.method === 'token' ? await this.#lookUp(login.token) : await this.#authenticate(login);
    const { leaseMs } = token;
    this.#log.debug('logged in to the Vault', {
      method: login.method,
      ...(leaseMs === undefined ? {} : { lease_seconds: leaseMs / 1000, renewable: token.isRenewable }),
    });
    return this.#use({ ...token, endsAt: leaseMs === undefined ? Number.POSITIVE_INFINITY : askedAt + leaseMs });
  }

  async #lookUp(text: string): Promise<Omit<Token, 'endsAt'>> {
    const answer = await this.#http.request(
      { method: 'GET', path: 'auth/token/lookup-self', token: text },
      this.#end.signal,
    );
    const { ttl, renewable } = partOf(answer, 'data') ?? {};
    return { text, isRenewable: renewable === true, leaseMs: leaseOf(ttl) };
  }

  async #authenticate(login: AuthenticatedLogin): Promise<Omit<Token, 'endsAt'>> {
    const { path, body } = await loginRequest(login);
    const answer = await this.#http.request({ method: 'POST', path, body }, this.#end.signal);
    const { client_token: text, lease_duration: lease, renewable } = partOf(answer, 'auth') ?? {};
    if (typeof text === 'string' && /^[\x21-\x7e]{1,8192}$/.test(text)) {
      return { text, isRenewable: renewable === true, leaseMs: leaseOf(lease) };
    }
    throw new SpiffeError('FAILED_PRECONDITION', `${this.where} let the plugin in at ${path}, and gave it no token`);
  }

  #use(token: Token): Token {
    this.#token = token;
    clearTimeout(this.#timer);
    if (token.leaseMs !== undefined && token.isRenewable && !this.#end.signal.aborted) {
      this.#renewAfter(token, token.leaseMs * RENEW_AT);
    }
    return token;
  }

  #renewAfter(token: Token, ms: number): void {
    this.#timer = setTimeout(() => void this.#renew(token), Math.min(ms, LONGEST_WAIT_MS)).unref();
  }

  /** A lease has a longest life: what is given then is shorter and shorter, and at last refused. */
  async #renew(token: Token): Promise<void> {
    const askedAt = performance.now();
    try {
      const renewal = { method: 'POST', path: 'auth/token/renew-self', body: {}, token: token.text } as const;
      const answer = await this.#http.request(renewal, this.#end.signal);
      const { lease_duration: lease, renewable } = partOf(answer, 'auth') ?? {};
      const leaseMs = leaseOf(lease);
      if (this.#token !== token) return;
      this.#log.debug('the token for the Vault was renewed', { lease_seconds: (leaseMs ?? 0) / 1000 });
      const endsAt = leaseMs === undefined ? Number.POSITIVE_INFINITY : askedAt + leaseMs;
      this.#use({ ...token, leaseMs, isRenewable: renewable === true, endsAt });
    } catch (error) {
      if (this.#end.signal.aborted || this.#token !== token) return;
      const left = token.endsAt - performance.now();
      const willRetry = isSpiffeError(error, 'UNAVAILABLE') && left > RETRY_MS;
      this.#log.warning('the token for the Vault was not renewed', {
        reason: messageOf(error),
        ends_in_seconds: Math.round(left / 1000),
        next: willRetry ? 'it is tried again' : 'the plugin logs in anew once it has ended',
      });
      if (willRetry) this.#renewAfter(token, RETRY_MS);
    }
  }
}

async function loginRequest(login: AuthenticatedLogin): Promise<{ path: string; body: object }> {
  const path = `auth/${login.mountPoint}/login`;
  switch (login.method) {
    case 'cert':
      return { path, body: login.role === '' ? {} : { name: login.role } };
    case 'approle':
      return { path, body: { role_id: login.roleId, secret_id: login.secretId } };
    case 'kubernetes': {
      const jwt = (await readCapped('token_path', login.tokenPath)).toString('latin1').trim(); // it is replaced now and then
      return { path, body: { role: login.role, jwt } };
    }
  }
}

/** Seconds, of which 0 are for ever. */
function leaseOf(seconds: unknown): number | undefined {
  return typeof seconds === 'number' && Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : undefined;
}

/** An object of an answer. */
export function partOf(answer: VaultAnswer, name: string): Readonly<Record<string, unknown>> | undefined {
  const value = answer?.[name];
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
}
