import type { CallContext } from '../rpc/call.ts';
import { ATTESTATION_METADATA } from '../rpc/go-plugin.ts';
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
}

export function attestationContext(
  runtime: PluginRuntime,
  trustDomain: TrustDomain,
  call: CallContext,
): AttestationContext {
  const csrPublicKey = call.metadata.findBytes(ATTESTATION_METADATA.csrPublicKey);
  const untrustedForwardedHost = call.metadata.findText(ATTESTATION_METADATA.forwardedHost);
  const forwardedClientIp = call.metadata.findText(ATTESTATION_METADATA.clientAddress);
  return {
    ...runtime,
    trustDomain,
    signal: call.signal,
    ...(csrPublicKey === undefined ? {} : { csrPublicKey }),
    ...(untrustedForwardedHost === undefined || untrustedForwardedHost === '' ? {} : { untrustedForwardedHost }),
    ...(forwardedClientIp === undefined || forwardedClientIp === '' ? {} : { forwardedClientIp }),
  };
}
