import type { AcmeConfig } from '../config/federation-config.ts';
import type { FileIdentity } from '../http/certificate-files.ts';
import type { ShownIdentity } from '../http/tls-listener.ts';
import type { Logger } from '../log/logger.ts';
import { messageOf } from '../spiffe/error.ts';
import { RotationTimer } from '../time/rotation-timer.ts';
import { type AcmeCertificate, AcmeFiles } from './acme-files.ts';
import { orderCertificate } from './acme-order.ts';
import { TlsAlpnChallenge } from './tls-alpn-challenge.ts';

export interface AcmeCertificatesOptions {
  readonly config: AcmeConfig;
  /** Where account and certificate are kept; undefined, nowhere. */
  readonly folder: string | undefined;
  readonly log: Logger;
  readonly clock: () => Date;
  readonly firstRetryMs?: number;
}

/** The first third of a certificate's life is left when a new one is ordered. */
const RENEW_AT = 2 / 3;
const ORDER_DEADLINE_MS = 300_000;
/** ACME servers have limits to what fails: Let's Encrypt's is five an hour. */
const FIRST_RETRY_MS = 60_000;
const LONGEST_RETRY_MS = 3_600_000;

/** The certificate of a web server from an ACME server, and its successors in time. */
export class AcmeCertificates implements ShownIdentity, AsyncDisposable {
  readonly challenge = new TlsAlpnChallenge();
  readonly #options: AcmeCertificatesOptions;
  readonly #files: AcmeFiles;
  readonly #timer: RotationTimer;
  readonly #end = new AbortController();
  readonly #listeners = new Set<(identity: FileIdentity) => void>();
  #certificate: AcmeCertificate | undefined;
  #failures = 0;

  private constructor(options: AcmeCertificatesOptions, files: AcmeFiles, stored: AcmeCertificate | undefined) {
    const { log, clock, firstRetryMs = FIRST_RETRY_MS } = options;
    this.#options = options;
    this.#files = files;
    this.#certificate = stored;
    this.#timer = new RotationTimer({ work: () => this.#renew(), log, clock, retryMs: firstRetryMs });
  }

  /** With the certificate of the last run, if there is one. Nothing is ordered before {@link start}. */
  static async open(options: AcmeCertificatesOptions): Promise<AcmeCertificates> {
    const { config, folder, clock } = options;
    const files = new AcmeFiles(folder, config.directoryUrl);
    const stored = await files.findCertificate(config.domainNames);
    return new AcmeCertificates(options, files, stored && stored.notAfter > clock() ? stored : undefined);
  }

  /** The port is open from now on: challenges are answered there. */
  start(): void {
    this.#timer.start(this.#certificate === undefined ? new Date(0) : renewalOf(this.#certificate), 0);
  }

  get current(): FileIdentity | undefined {
    return this.#certificate?.identity;
  }

  subscribe(listener: (identity: FileIdentity) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    // An order may wait for its ACME server; it stores nothing that is half.
    void this.#timer[Symbol.asyncDispose]();
  }

  async #renew(): Promise<Date> {
    const { config, log, clock, firstRetryMs = FIRST_RETRY_MS } = this.#options;
    const { domainNames, directoryUrl } = config;
    const signal = AbortSignal.any([this.#end.signal, AbortSignal.timeout(ORDER_DEADLINE_MS)]);
    try {
      const options = { config, files: this.#files, challenge: this.challenge, log };
      this.#certificate = await orderCertificate(options, signal);
    } catch (error) {
      const retryMs = Math.min(firstRetryMs * 2 ** Math.min(this.#failures, 20), LONGEST_RETRY_MS);
      this.#failures += 1;
      if (!this.#end.signal.aborted) {
        log.error('no certificate was had from the ACME server', {
          domain_names: domainNames.join(', '),
          directory_url: directoryUrl,
          reason: messageOf(error),
          retry_in_ms: retryMs,
        });
      }
      return new Date(clock().getTime() + retryMs);
    }
    this.#failures = 0;
    const { identity, notAfter } = this.#certificate;
    for (const listener of this.#listeners) listener(identity);
    log.info('a certificate was had from the ACME server', {
      domain_names: domainNames.join(', '),
      expires_at: Math.floor(notAfter.getTime() / 1000),
    });
    return renewalOf(this.#certificate);
  }
}

function renewalOf({ notBefore, notAfter }: AcmeCertificate): Date {
  return new Date(notBefore.getTime() + (notAfter.getTime() - notBefore.getTime()) * RENEW_AT);
}
