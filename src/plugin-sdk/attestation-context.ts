import type { CallContext } from '../rpc/call.ts';
import { ATTESTATION_METADATA } from '../rpc/go-plugin.ts';
import { parseSelector, type Selector } from '../spiffe/selector.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import type { PluginRuntime } from './plugin.ts';

/** What an attestor knows of the attestation it takes part in. */
export interface AttestationContext extends PluginRuntime {
  readonly trustDomain: TrustDomain;
  /** Aborted when the host gives up or has what it needs. */
  readonly signal: AbortSignal;
  /** SubjectPublicKeyInfo (DER) of the key that the agent asks a certificate for; absent under a host that does not tell. */
  readonly csrPublicKey?: Uint8Array;
  /** Host part of the client's `:authority`: unauthenticated. */
  readonly untrustedForwardedHost?: string;
  /** Address of the agent's connection. */
  readonly forwardedClientIp?: string;
  /** What the stages before this one have found of the node, in a composite attestation; absent outside of one. */
  readonly earlierSelectors?: readonly Selector[];
}

export function attestationContext(
  runtime: PluginRuntime,
  trustDomain: TrustDomain,
  call: CallContext,
): AttestationContext {
  const csrPublicKey = call.metadata.findBytes(ATTESTATION_METADATA.csrPublicKey);
  const untrustedForwardedHost = call.metadata.findText(ATTESTATION_METADATA.forwardedHost);
  const forwardedClientIp = call.metadata.findText(ATTESTATION_METADATA.clientAddress);
  const earlierSelectors = call.metadata.findBytes(ATTESTATION_METADATA.earlierSelectors);
  return {
    ...runtime,
    trustDomain,
    signal: call.signal,
    ...(csrPublicKey === undefined ? {} : { csrPublicKey }),
    ...(earlierSelectors === undefined ? {} : { earlierSelectors: decodeSelectors(earlierSelectors) }),
    ...(untrustedForwardedHost === undefined || untrustedForwardedHost === '' ? {} : { untrustedForwardedHost }),
    ...(forwardedClientIp === undefined || forwardedClientIp === '' ? {} : { forwardedClientIp }),
  };
}

/** The host is trusted, and writes a list. */
function decodeSelectors(bytes: Uint8Array): readonly Selector[] {
  const texts: readonly string[] = JSON.parse(Buffer.from(bytes).toString('utf8'));
  return texts.map(parseSelector);
}
