import type { CredentialComposer, SvidSubject } from '../../../plugin-host/kinds/credential-composer.ts';
import type { JwtSvidAttributes, X509CaAttributes, X509SvidAttributes } from '../../../spiffe/credential-attributes.ts';
import { messageOf, SpiffeError } from '../../../spiffe/error.ts';
import { isAgentId, type SpiffeId, serverId, trustDomainOf } from '../../../spiffe/spiffe-id.ts';
import type { DistinguishedName } from '../../../x509/name.ts';
import { type RequiredClaims, requireJwtClaims } from './require-jwt-claims.ts';
import { encodeSubject, requireCaAttributes, requireSvidAttributes } from './require-x509-attributes.ts';

/** The choosable part of a CA certificate, as it goes into one. */
export interface ComposedCa {
  /** Name element. */
  readonly subject: Uint8Array;
  readonly policyIdentifiers: X509CaAttributes['policyIdentifiers'];
  readonly extraExtensions: X509CaAttributes['extraExtensions'];
}

type Claims = Readonly<Record<string, unknown>> & RequiredClaims;

/**
 * The credential composers, each of which gets what the one before made of a credential. What none may change is checked
 * after each; a refusal refuses the credential, and names the composer. Inventory K009.
 */
export class Composers {
  readonly #composers: readonly CredentialComposer[];
  readonly #signal: AbortSignal;

  constructor(composers: readonly CredentialComposer[], signal: AbortSignal = new AbortController().signal) {
    this.#composers = composers;
    this.#signal = signal;
  }

  /** Nobody has a say: then nothing is worth preparing for them. */
  get isEmpty(): boolean {
    return this.#composers.length === 0;
  }

  async composeCa(subject: DistinguishedName): Promise<ComposedCa> {
    const given: X509CaAttributes = { subject, policyIdentifiers: [], extraExtensions: [] };
    const composed = await this.#compose(
      given,
      (composer, attributes) => composer.composeServerX509Ca(attributes, this.#signal),
      (attributes) => {
        requireCaAttributes(attributes);
        return attributes;
      },
    );
    return { ...composed, subject: encodeSubject(composed.subject) };
  }

  async composeX509Svid(of: SvidSubject, given: X509SvidAttributes): Promise<X509SvidAttributes> {
    const owner = ownerOf(of.spiffeId);
    return await this.#compose(
      given,
      (composer, attributes) => {
        switch (owner) {
          case 'server':
            return composer.composeServerX509Svid(attributes, this.#signal);
          case 'agent':
            return composer.composeAgentX509Svid(of, attributes, this.#signal);
          case 'workload':
            return composer.composeWorkloadX509Svid(of, attributes, this.#signal);
        }
      },
      (attributes) => {
        requireSvidAttributes(attributes, { ofWorkload: owner === 'workload' });
        return attributes;
      },
    );
  }

  async composeJwtSvid(given: Claims): Promise<Claims> {
    return await this.#compose(
      given,
      async (composer, claims) => {
        const attributes: JwtSvidAttributes = { claims };
        return (await composer.composeWorkloadJwtSvid(given.sub, attributes, this.#signal)).claims;
      },
      (claims) => requireJwtClaims(claims, given),
    );
  }

  async #compose<Given, Answered>(
    given: Given,
    ask: (composer: CredentialComposer, attributes: Given) => Promise<Answered>,
    check: (answered: Answered) => Given,
  ): Promise<Given> {
    let attributes = given;
    for (const composer of this.#composers) {
      try {
        attributes = check(await ask(composer, attributes));
      } catch (cause) {
        const reason = messageOf(cause);
        throw new SpiffeError(
          'INTERNAL',
          `the credential composer "${composer.name}" refuses, or answers what cannot be used: ${reason}`,
          { cause },
        );
      }
    }
    return attributes;
  }
}

function ownerOf(spiffeId: SpiffeId): 'server' | 'agent' | 'workload' {
  if (spiffeId === serverId(trustDomainOf(spiffeId))) return 'server';
  return isAgentId(spiffeId) ? 'agent' : 'workload';
}
