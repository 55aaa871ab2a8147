import { createHash } from 'node:crypto';
import type { SdsConfig } from '../../config/agent-config.ts';
import { type DiscoveryRequest, DiscoveryResponse } from '../../gen/envoy/service/discovery/v3/discovery.ts';
import type { Any } from '../../gen/google/protobuf/any.ts';
import type { Logger } from '../../log/logger.ts';
import { quoteText } from '../../spiffe/quote-text.ts';
import type { WorkloadView } from '../workloads/workload-cache.ts';
import { requestedNames } from './discovery-request.ts';
import { type FoundSecrets, findSecrets } from './find-secrets.ts';
import { SECRET_TYPE } from './secret.ts';
import { usesSpiffeValidator } from './spiffe-validator.ts';

export interface SubscriptionOptions {
  readonly sds: SdsConfig;
  readonly pid: number;
  readonly log: Logger;
}

/** What one stream may have logged: whoever it belongs to decides how often there is something to tell. */
const MAX_LOGGED = 20;
const MAX_LOGGED_NAMES = 5;

/**
 * One stream of secret discovery between its requests and what its caller gets: tells which response is due.
 *
 * @see xDS protocol, "State of the World": a request acknowledges the response of its nonce, refuses it where it has an
 *   error, and says which resources are wanted from then on.
 */
export class SecretSubscription {
  readonly #options: SubscriptionOptions;
  /** Empty: everything; undefined: nothing. */
  #names: readonly string[] | undefined;
  #hasNamed = false;
  #spiffeValidator = false;
  #view: WorkloadView | undefined;
  #mustAnswer = false;
  #sent: { readonly nonce: number; readonly version: string } | undefined;
  #refusals = '';
  #logged = 0;

  constructor(options: SubscriptionOptions) {
    this.#options = options;
  }

  /**
   * @returns whether it says anything: nothing is due for one whose response is not the last.
   * @throws SpiffeError `ARGUMENT_INVALID` for what {@link requestedNames} and {@link usesSpiffeValidator} refuse.
   */
  take(request: DiscoveryRequest): boolean {
    const names = requestedNames(request);
    if (request.responseNonce !== String(this.#sent?.nonce ?? '')) return false; // another response is on its way to the caller
    if (request.errorDetail !== undefined) this.#tellOfRefusal(request.errorDetail.message);
    // Only the first request has to tell.
    if (request.node !== undefined) this.#spiffeValidator = usesSpiffeValidator(request.node, this.#options.sds);
    this.#hasNamed ||= names.length > 0;
    // Whoever names nothing at first wants everything; whoever has named something and names nothing wants no more.
    const wanted = names.length === 0 && this.#hasNamed ? undefined : names;
    if (wanted !== undefined && !(this.#names !== undefined && isSameSet(wanted, this.#names))) this.#mustAnswer = true;
    this.#names = wanted;
    return true;
  }

  show(view: WorkloadView): void {
    this.#view = view;
  }

  /** Why a response that is due does not come; undefined where it may. */
  get hindrance(): Error | undefined {
    return this.#mustAnswer ? this.#view?.hindrance : undefined;
  }

  /** The response that is due, where one is. */
  next(): DiscoveryResponse | undefined {
    if (this.#names === undefined || this.#view === undefined) return undefined;
    const options = { sds: this.#options.sds, spiffeValidator: this.#spiffeValidator };
    const found = findSecrets(this.#names, this.#view, options);
    this.#tellOfRefused(found);
    if (found.secrets.length === 0 && found.awaited.length > 0) return undefined;
    const version = versionOf(found.secrets);
    if (!this.#mustAnswer && version === this.#sent?.version) return undefined;
    this.#mustAnswer = false;
    this.#sent = { nonce: (this.#sent?.nonce ?? 0) + 1, version };
    return toResponse(found.secrets, version, String(this.#sent.nonce));
  }

  #tellOfRefusal(reason: string): void {
    const { pid } = this.#options;
    this.#warn('a proxy refused its secrets', { pid, reason: quoteText(reason) });
  }

  /** Once, until others are refused. */
  #tellOfRefused({ refused }: FoundSecrets): void {
    const refusals = refused
      .slice(0, MAX_LOGGED_NAMES)
      .map(({ name, reason }) => `${quoteText(name)}: ${reason}`)
      .join('; ');
    if (refusals !== this.#refusals && refusals !== '') {
      this.#warn('secrets are not given', { pid: this.#options.pid, count: refused.length, reason: refusals });
    }
    this.#refusals = refusals;
  }

  #warn(...line: Parameters<Logger['warning']>): void {
    this.#logged += 1;
    if (this.#logged <= MAX_LOGGED) this.#options.log.warning(...line);
  }
}

/** `nonce` is for streams alone. */
export function toResponse(secrets: readonly Any[], version = versionOf(secrets), nonce = ''): DiscoveryResponse {
  return DiscoveryResponse.create({ versionInfo: version, resources: [...secrets], typeUrl: SECRET_TYPE, nonce });
}

/** The same for the same secrets, on every stream. */
function versionOf(secrets: readonly Any[]): string {
  const hash = createHash('sha256');
  for (const { value } of secrets) hash.update(`${value.length}:`).update(value);
  return hash.digest('hex').slice(0, 16);
}

function isSameSet(a: readonly string[], b: readonly string[]): boolean {
  const names = new Set(a);
  return a.length === b.length && b.every((name) => names.has(name));
}
