import { createHash } from 'node:crypto';
import { type AgentAttributes, type ServerAttestationContext, SpiffeError } from '../../plugin-sdk/index.ts';
import { type HostTrust, type ProvedHost, requireHostCertificate } from './host-certificate.ts';
import { decodePayload, decodeResponse, encodeChallenge, NONCE_BYTES } from './messages.ts';
import { bothNonces } from './nonces.ts';
import type { SshServerConfig } from './server-config.ts';
import { base64Url } from './ssh-key.ts';
import { isSignedBy } from './ssh-signature.ts';

/** What the server half knows: a value that a new configuration replaces. */
export interface SshAttestorState {
  readonly config: Pick<SshServerConfig, 'agent_path_template'>;
  readonly trust: HostTrust;
}

export type SshAttestContext = Pick<ServerAttestationContext, 'trustDomain' | 'now' | 'randomBytes'>;

/**
 * The server's half: a host certificate of a trusted authority, then a signature of the host key over nonces of both sides.
 *
 * @throws SpiffeError `ATTESTATION_DENIED`; `ARGUMENT_INVALID`, `TOO_LARGE` for what cannot be read
 * @see docs/plugins/sshpop.md
 */
export async function* attestHost(
  payload: Uint8Array,
  { config, trust }: SshAttestorState,
  { trustDomain, now, randomBytes }: SshAttestContext,
): AsyncGenerator<Uint8Array, AgentAttributes, Uint8Array> {
  const host = requireHostCertificate(decodePayload(payload), trust, await now());
  const { certificate } = host;
  const nonce = await randomBytes(NONCE_BYTES);
  const response = decodeResponse(yield encodeChallenge(nonce));
  const nonces = bothNonces(nonce, response.nonce);
  if (!isSignedBy(certificate, nonces, response.signature, { allowsSha1: true })) {
    throw new SpiffeError(
      'ATTESTATION_DENIED',
      'the answer is not signed by the key of the SSH certificate: the node does not have it',
    );
  }
  return {
    spiffeId: config.agent_path_template.agentId(trustDomain, templateValues(host)),
    selectorValues: [`hostname:${host.hostname}`, `ca:fingerprint:${certificate.authorityFingerprint}`],
    canReattest: true,
  };
}

export const TEMPLATE_FIELDS = ['PluginName', 'Fingerprint', 'Hostname', 'KeyId', 'Serial', 'ValidPrincipals'];

function templateValues({ certificate, hostname }: ProvedHost) {
  return {
    PluginName: 'sshpop',
    Fingerprint: base64Url(createHash('sha256').update(certificate.blob).digest()),
    Hostname: hostname,
    KeyId: certificate.keyId,
    Serial: certificate.serial.toString(),
    ValidPrincipals: certificate.principals,
  };
}
