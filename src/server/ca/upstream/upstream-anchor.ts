import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../../../log/logger.ts';
import type {
  MintedX509Ca,
  UpstreamBundle as Trusted,
  UpstreamAuthority,
} from '../../../plugin-host/kinds/upstream-authority.ts';
import type { JwtAuthority, X509Authority } from '../../../spiffe/bundle.ts';
import { messageOf, SpiffeError } from '../../../spiffe/error.ts';
import type { TrustDomain } from '../../../spiffe/trust-domain.ts';
import type { Certificate } from '../../../x509/certificate.ts';
import { createCsr } from '../../../x509/csr.ts';
import type { DistinguishedName } from '../../../x509/name.ts';
import { decimalSerialNumber, randomSerialNumber } from '../../../x509/serial-number.ts';
import type { Signer } from '../../../x509/signer.ts';
import { subjectKeyIdOfSpki } from '../../../x509/spki.ts';
import type { BundleKeeper } from '../../bundle-keeper.ts';
import type { CaAnchor, CertifiedCa } from '../ca-anchor.ts';
import type { Composers } from '../composing/composers.ts';
import { requireUnrevoked } from '../refusals.ts';
import { authorityIdOf, isBelow } from '../x509-authorities.ts';
import { type Dependent, DependentWatch } from './dependent-watch.ts';
import { requireMintedCa } from './require-minted-ca.ts';
import { UpstreamBundle } from './upstream-bundle.ts';
import { UpstreamStream } from './upstream-stream.ts';

export interface UpstreamAnchorOptions {
  readonly upstream: UpstreamAuthority;
  readonly bundle: BundleKeeper;
  readonly trustDomain: TrustDomain;
  readonly ttlSeconds: number;
  readonly subject: DistinguishedName;
  readonly composers: Composers;
  readonly log: Logger;
  readonly clock: () => Date;
  /** Ends what is under way. */
  readonly signal?: AbortSignal;
}

/** Between two attempts to follow what the PKI above trusts. */
const FOLLOW_RETRY_MS = 5_000;
/** A plugin that says once what is trusted, and no more, is asked again after this long. */
const FOLLOW_AGAIN_MS = 60_000;

/** The server's CA is signed by a PKI above, which also says what is trusted beside it. Inventory B017. */
export class UpstreamAnchor implements CaAnchor, AsyncDisposable {
  readonly hasUpstream = true;
  readonly #options: UpstreamAnchorOptions;
  readonly #bundle: UpstreamBundle;
  readonly #ended = new AbortController();
  readonly #minted: UpstreamStream<MintedX509Ca, readonly X509Authority[]>;
  readonly #published: UpstreamStream<readonly JwtAuthority[], readonly JwtAuthority[]>;
  readonly #trusted: UpstreamStream<Trusted, Trusted>;
  #watch: DependentWatch | undefined;
  #following: Promise<void> = Promise.resolve();

  constructor(options: UpstreamAnchorOptions) {
    this.#options = options;
    const { bundle, log, signal } = options;
    signal?.addEventListener('abort', () => this.#ended.abort(), { once: true, signal: this.#ended.signal });
    this.#bundle = new UpstreamBundle(bundle, log);
    const stream = { log, signal: this.#ended.signal };
    this.#minted = new UpstreamStream('updates of the roots', stream);
    this.#published = new UpstreamStream('updates of the JWT keys', stream);
    this.#trusted = new UpstreamStream('updates of the bundle', stream);
  }

  /** Follows what the PKI above trusts, and has the CA replaced when it hangs on nothing that is trusted there. */
  start(dependent: Dependent): void {
    const { log, clock } = this.#options;
    this.#watch = new DependentWatch({ dependent, bundle: this.#bundle, log, clock, signal: this.#ended.signal });
    this.#watch.look();
    this.#following = this.#follow();
  }

  async certify(signer: Signer, _now: number): Promise<CertifiedCa> {
    const { upstream, trustDomain, ttlSeconds, clock } = this.#options;
    const csr = await createCsr({ signer, subject: await this.#subject(), uriNames: [`spiffe://${trustDomain}`] });
    const certified = await this.#explained(() =>
      this.#minted.replace(
        (signal) => upstream.mintX509Ca({ csr, preferredTtlSeconds: ttlSeconds }, signal),
        async ({ certificates, roots }) => {
          const check = { chain: withoutRoots(certificates, roots), roots, signer, trustDomain, now: clock() };
          const { certificate, root, isBelowTainted } = await requireMintedCa(check);
          this.#requireUntainted(isBelowTainted);
          await this.#takeRoots(roots);
          if (!isBelow(this.#options.bundle.current.x509Authorities, check.chain, clock())) {
            throw new SpiffeError('FAILED_PRECONDITION', 'it signs below a root that was revoked here');
          }
          const notAfter = Math.floor(certificate.notAfter.getTime() / 1000);
          return { chain: check.chain, upstreamAuthorityId: upstreamAuthorityIdOf(root), notAfter };
        },
        (roots) => this.#takeRoots(roots),
      ),
    );
    if (certified === undefined) throw new SpiffeError('UNAVAILABLE', 'the upstream authority signs no CA');
    return certified;
  }

  async publishJwtAuthority(authority: JwtAuthority): Promise<void> {
    const revoked = await this.#explained(() =>
      this.#published.replace(
        (signal) => this.#options.upstream.publishJwtKey(authority, signal),
        (keys) => this.#bundle.takeJwtAuthorities([...keys, ...(isIn(keys, authority) ? [] : [authority])]),
        (keys) => this.#bundle.takeJwtAuthorities(keys),
      ),
    );
    const { jwtAuthorities } = revoked ?? (await this.#bundle.keepJwtAuthority(authority));
    requireUnrevoked({ jwtAuthorities: jwtAuthorities.filter(({ keyId }) => keyId === authority.keyId) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    await Promise.all([this.#minted, this.#published, this.#trusted].map((stream) => stream[Symbol.asyncDispose]()));
    await this.#following;
    await this.#watch?.ended;
  }

  async #takeRoots(roots: readonly X509Authority[]): Promise<void> {
    await this.#bundle.takeRoots(roots);
    this.#watch?.look();
  }

  async #takeTrusted({ x509Authorities, jwtAuthorities }: Trusted): Promise<void> {
    await this.#takeRoots(x509Authorities);
    await this.#bundle.takeJwtAuthorities(jwtAuthorities);
  }

  /** All that a request says beside its key: what else composers would have in the CA is for the PKI above to say. */
  async #subject(): Promise<Uint8Array> {
    const { subject, composers } = this.#options;
    // The serial number keeps the subjects of two generations apart, which verifiers look issuers up by.
    const serialNumber = decimalSerialNumber(randomSerialNumber());
    return (await composers.composeCa({ ...subject, serialNumber })).subject;
  }

  /** Where the CA is replaced because its root is tainted, another one below it is of no use. */
  #requireUntainted(isBelowTainted: boolean): void {
    if (!isBelowTainted) return;
    const reason = 'the upstream authority signs below a root that is tainted';
    if (this.#watch?.isReplacing) throw new SpiffeError('FAILED_PRECONDITION', reason);
    this.#options.log.warning(
      `${reason}: what the server signs will be replaced as soon as it signs below another one`,
    );
  }

  async #explained<Result>(call: () => Promise<Result>): Promise<Result> {
    try {
      return await call();
    } catch (cause) {
      const reason = messageOf(cause);
      const { name } = this.#options.upstream;
      throw new SpiffeError('UNAVAILABLE', `the upstream authority "${name}" did not do its part: ${reason}`, {
        cause,
      });
    }
  }

  async #follow(): Promise<void> {
    const { upstream, log } = this.#options;
    const { signal } = this.#ended;
    while (!signal.aborted) {
      let pauseMs = FOLLOW_AGAIN_MS;
      try {
        const isThere = await this.#trusted.replace(
          (ended) => upstream.subscribeToLocalBundle(ended),
          async (first) => {
            await this.#takeTrusted(first);
            return true;
          },
          (update) => this.#takeTrusted(update),
        );
        if (isThere === undefined) return; // the plugin has no such thing
        await this.#trusted.done;
      } catch (error) {
        if (signal.aborted) return;
        const reason = messageOf(error);
        log.warning('what the upstream authority trusts is not known: asking again', { error: reason });
        pauseMs = FOLLOW_RETRY_MS;
      }
      await sleep(pauseMs, undefined, { signal }).catch(() => {});
    }
  }
}

/** Never empty: that would say that the CA is its own root. Old roots have no subject key identifier. */
function upstreamAuthorityIdOf(root: Certificate): string {
  return authorityIdOf(root) || Buffer.from(subjectKeyIdOfSpki(root.subjectPublicKeyInfo)).toString('hex');
}

/** Some upstreams answer the whole chain. */
function withoutRoots(chain: readonly Uint8Array[], roots: readonly X509Authority[]): readonly Uint8Array[] {
  const isRoot = (der: Uint8Array) => roots.some(({ certificate }) => Buffer.compare(certificate, der) === 0);
  return chain.filter((der, index) => index === 0 || !isRoot(der));
}

function isIn(keys: readonly JwtAuthority[], { keyId }: JwtAuthority): boolean {
  return keys.some((key) => key.keyId === keyId);
}
