import { createHash } from 'node:crypto';
import { isSpiffeError, SpiffeError } from '../../spiffe/error.ts';
import { type Certificate, parseCertificate } from '../../x509/certificate.ts';
import { verifyChains } from '../../x509/chains-by-root.ts';
import { type EkRevocation, requireUnrevokedChain } from '../../x509/ek-revocation.ts';
import { attributeText, parseName } from '../../x509/name.ts';
import { OID } from '../../x509/oids.ts';
import { requireCheck } from '../../x509/require-check.ts';
import type { DevidPayload } from './messages.ts';

/** A DevID certificate that chains to a CA of the operator's. */
export interface DevidCertificate {
  readonly certificate: Certificate;
  /** SHA-1 of the DER, lower-case hex: the last segment of the agent's ID, as SPIRE has it. */
  readonly fingerprint: string;
  /** As SPIRE writes them, without the type. */
  readonly selectorValues: readonly string[];
}

export interface DevidTrust {
  /** Trust anchors, self-signed or not. */
  readonly devidCas: readonly Certificate[];
  readonly revocation: EkRevocation;
}

/** RFC 4108 §5: a hardware module's name is an otherName, which OpenSSL and TCG's profiles mark critical. No rule reads it. */
const UNDERSTOOD = [OID.certificatePolicies, OID.subjectAltName];

/**
 * @param ders the DevID's own first, then intermediates
 * @throws SpiffeError `ATTESTATION_DENIED` (G45, G46, A8), `CERTIFICATE_INVALID`
 */
export function requireDevidCertificate(
  [first, ...others]: DevidPayload['devidCertificates'],
  trust: DevidTrust,
  now: Date,
): DevidCertificate {
  const certificate = parseSent(first, 'the DevID certificate');
  const intermediates = others.map((der, index) => parseSent(der, `certificate ${index + 2} of the DevID’s chain`));
  const chains = findChains(certificate, intermediates, trust.devidCas, now);
  requireCheck('G46', !certificate.isCa, 'the DevID certificate is one of a CA');
  requireCheck(
    'G46',
    certificate.keyUsage?.digitalSignature !== false,
    'the key usage of the DevID certificate lacks digitalSignature: have it issued for signing',
  );
  for (const chain of chains) requireUnrevokedChain(chain, trust.revocation, now);
  return { certificate, fingerprint: fingerprintOf(certificate), selectorValues: selectorsOf(certificate, chains) };
}

function parseSent(der: Uint8Array, what: string): Certificate {
  try {
    return parseCertificate(der);
  } catch (cause) {
    if (!isSpiffeError(cause)) throw cause;
    throw new SpiffeError('CERTIFICATE_INVALID', `${what}: ${cause.message}`, { cause });
  }
}

function findChains(
  leaf: Certificate,
  intermediates: readonly Certificate[],
  roots: readonly Certificate[],
  now: Date,
): readonly (readonly Certificate[])[] {
  const found = orReason(() =>
    verifyChains({ leaf, intermediates, roots, now, understoodCriticalExtensions: UNDERSTOOD }),
  );
  requireCheck(
    'G45',
    'value' in found,
    `the DevID certificate is not trusted: ${'reason' in found ? found.reason : ''}`,
  );
  return found.value;
}

function orReason<T>(find: () => T): { readonly value: T } | { readonly reason: string } {
  try {
    return { value: find() };
  } catch (error) {
    if (!isSpiffeError(error)) throw error;
    return { reason: error.message };
  }
}

function selectorsOf(leaf: Certificate, chains: readonly (readonly Certificate[])[]): readonly string[] {
  const named = (prefix: string, name: Uint8Array) => {
    const commonName = commonNameOf(name);
    return commonName === '' ? [] : [`${prefix}:cn:${commonName}`];
  };
  const cas = chains.flatMap((chain) => chain.slice(1).map((ca) => `ca:fingerprint:${fingerprintOf(ca)}`));
  return [...named('subject', leaf.subject), ...named('issuer', leaf.issuer), ...new Set(cas)];
}

/** The last one where a name has several, as Go reads it. */
function commonNameOf(name: Uint8Array): string {
  const last = parseName(name)
    .flat()
    .findLast(({ type }) => type === OID.commonName);
  return (last && attributeText(last)) ?? '';
}

function fingerprintOf({ der }: Certificate): string {
  return createHash('sha1').update(der).digest('hex');
}
