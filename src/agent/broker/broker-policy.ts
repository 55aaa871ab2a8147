import type { BrokerConfig } from '../../config/agent-config.ts';
import type { Peer } from '../../rpc/peer.ts';
import { verifyPeer } from '../../rpc/tls-identity.ts';
import type { Bundle } from '../../spiffe/bundle.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { quoteText } from '../../spiffe/quote-text.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';

type Broker = BrokerConfig['brokers'][number];

export type Transport = 'unix' | 'tcp';

/** A caller that may broker. */
export interface AuthorizedBroker {
  readonly spiffeId: SpiffeId;
  /** @throws SpiffeError `PERMISSION_DENIED` for a reference of a type that is not allowed, or not over this transport. */
  requireAllowed(typeUrl: string): void;
  /** @throws SpiffeError once its X.509-SVID is not valid any more. */
  check(): void;
}

export interface BrokerPolicyOptions {
  readonly brokers: readonly Broker[];
  readonly transport: Transport;
  findBundle(trustDomain: TrustDomain): Bundle | undefined;
}

/**
 * The caller, which proved its SPIFFE ID in the handshake: its SVID has to be valid at the time of the call, too.
 *
 * @throws SpiffeError `UNAUTHENTICATED`, `PERMISSION_DENIED`
 */
export function requireBroker(peer: Peer, { brokers, transport, findBundle }: BrokerPolicyOptions): AuthorizedBroker {
  if (peer.kind !== 'tls' || peer.spiffeId === undefined) {
    throw new SpiffeError('UNAUTHENTICATED', 'the caller shows no X.509-SVID: brokers call over mTLS');
  }
  const { spiffeId, certificates } = peer;
  const found = brokers.find(({ id }) => id === spiffeId);
  if (found === undefined) {
    throw new SpiffeError('PERMISSION_DENIED', `${spiffeId} is not among the brokers of this agent`);
  }
  let verifiedUntil = 0;
  let verifiedBy: Bundle | undefined;
  const check = () => {
    let bundle: Bundle | undefined;
    const now = new Date();
    const remember = (trustDomain: TrustDomain) => {
      bundle = findBundle(trustDomain);
      return bundle;
    };
    if (verifiedBy !== undefined && findBundle(verifiedBy.trustDomain) === verifiedBy && now.getTime() < verifiedUntil)
      return;
    try {
      const { leaf } = verifyPeer(certificates, remember, now);
      verifiedUntil = leaf.notAfter.getTime();
      verifiedBy = bundle;
    } catch (cause) {
      throw new SpiffeError(
        'UNAUTHENTICATED',
        `the X.509-SVID of ${spiffeId} is not valid any more: connect with a new one`,
        { cause },
      );
    }
  };
  check();
  return { spiffeId, check, requireAllowed: (typeUrl) => requireAllowed(found, typeUrl, transport) };
}

function requireAllowed({ id, allowedReferenceTypes }: Broker, typeUrl: string, transport: Transport): void {
  const allowed = allowedReferenceTypes.find((one) => one.typeUrl === '*' || one.typeUrl === typeUrl);
  if (allowed === undefined) {
    throw new SpiffeError('PERMISSION_DENIED', `${id} may not use references of type ${quoteText(typeUrl)}`);
  }
  if (transport === 'tcp' && !allowed.allowOverTcp) {
    throw new SpiffeError('PERMISSION_DENIED', `${id} may not use references of type ${quoteText(typeUrl)} over TCP`);
  }
}
