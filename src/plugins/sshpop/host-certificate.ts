import { quoteText, SpiffeError } from '../../plugin-sdk/index.ts';
import { parseSshCertificate, type SshCertificate } from './ssh-certificate.ts';
import { isSignedBy } from './ssh-signature.ts';

export interface HostTrust {
  /** Fingerprints of the keys that may sign host certificates, as `ssh-keygen -l` writes them. */
  readonly authorities: ReadonlySet<string>;
  /** What hosts' names end in, without the dot before it. */
  readonly canonicalDomain: string | undefined;
}

export interface ProvedHost {
  readonly certificate: SshCertificate;
  /** The first principal, without the canonical domain where one is configured. */
  readonly hostname: string;
}

/**
 * A host certificate that one of the authorities signed and that is valid now.
 *
 * @throws SpiffeError `ATTESTATION_DENIED`, `ARGUMENT_INVALID` for what cannot be read
 */
export function requireHostCertificate(bytes: Uint8Array, trust: HostTrust, now: Date): ProvedHost {
  const certificate = parseSshCertificate(bytes);
  if (!certificate.isHost) throw denied('is one of a user, not of a host: have it signed with "ssh-keygen -h"');
  if (!trust.authorities.has(certificate.authorityFingerprint)) {
    throw denied(`is signed by the key ${certificate.authorityFingerprint}, which is none of "cert_authorities"`);
  }
  if (!isSignedBy(certificate.authority, certificate.signed, certificate.signature, { allowsSha1: false })) {
    throw denied('has a signature that is not its authority’s');
  }
  requireValidNow(certificate, now);
  const [option] = certificate.criticalOptions;
  if (option !== undefined) throw denied(`has the critical option ${quoteText(option)}, which hosts’ do not have`);
  return { certificate, hostname: hostnameOf(certificate, trust.canonicalDomain) };
}

function requireValidNow({ validAfter, validBefore }: SshCertificate, now: Date): void {
  const seconds = BigInt(Math.floor(now.getTime() / 1000));
  if (seconds < validAfter)
    throw denied(`is not valid before ${timeOf(validAfter)}: is the clock of this server right?`);
  if (seconds >= validBefore) throw denied(`has expired at ${timeOf(validBefore)}`);
}

function timeOf(seconds: bigint): string {
  const date = new Date(Number(seconds) * 1000);
  return Number.isNaN(date.getTime()) ? `second ${seconds}` : date.toISOString();
}

function hostnameOf({ principals: [principal] }: SshCertificate, domain: string | undefined): string {
  if (principal === undefined || principal === '') {
    throw denied('names no host: have it signed with "ssh-keygen -n", the name of the host first');
  }
  if (domain === undefined) return principal;
  const suffix = `.${domain}`;
  if (principal.endsWith(suffix) && principal.length > suffix.length) return principal.slice(0, -suffix.length);
  throw denied(`is one of ${quoteText(principal)}, which is not in the domain ${quoteText(domain)}`);
}

function denied(reason: string): SpiffeError {
  return new SpiffeError('ATTESTATION_DENIED', `the SSH certificate ${reason}`);
}
