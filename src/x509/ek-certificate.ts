import { isSpiffeError } from '../spiffe/error.ts';
import { type Certificate, parseCertificate } from './certificate.ts';
import { verifyChain } from './chain.ts';
import { DerReader } from './der.ts';
import { decodeString } from './der-string.ts';
import { type EkRevocation, requireUnrevokedChain } from './ek-revocation.ts';
import { GeneralNameTag } from './extensions.ts';
import { isSameName, parseName } from './name.ts';
import { OID } from './oids.ts';
import { requireCheck } from './require-check.ts';
import { canonicalSpki, parseSpki } from './spki.ts';

/** Object identifiers of the TCG EK Credential Profile 2.5, §3.2.9 and §3.2.16. */
export const TCG_OID = {
  tpmManufacturer: '2.23.133.2.1',
  tpmModel: '2.23.133.2.2',
  tpmVersion: '2.23.133.2.3',
  kpEkCertificate: '2.23.133.8.1',
} as const;

/** Whom an operator trusts to say that a key is a TPM's endorsement key. */
export interface EkTrust {
  /** Trust anchors and intermediates of makers of hardware TPMs. */
  readonly hardwareCas: readonly Certificate[];
  /** The same for TPMs that are software. */
  readonly virtualCas: readonly Certificate[];
  /** Manufacturers, such as `id:474F4F47`, all of whose TPMs are software, whoever certified them. */
  readonly virtualManufacturers: ReadonlySet<string>;
  /** Some TPMs of TPM 2.0's first years have EK certificates without extended key usage. */
  readonly tolerateMissingEku: boolean;
  readonly revocation: EkRevocation;
}

/** What a verified EK certificate says. */
export interface EkCertificateFacts {
  /** EK certificate … trust anchor. */
  readonly chain: readonly Certificate[];
  /** As the certificate writes it, such as `id:00001014`. */
  readonly manufacturer: string;
  readonly model: string;
  /** Of the firmware at the time of certification. */
  readonly version: string;
  readonly kind: 'hardware' | 'virtual';
}

const MAX_CANDIDATES = 64;
/** `certificatePolicies` restricts nothing here: no policy is required of an EK certificate. */
const UNDERSTOOD_ON_EK: ReadonlySet<string> = new Set([
  OID.authorityKeyIdentifier,
  OID.basicConstraints,
  OID.certificatePolicies,
  OID.extKeyUsage,
  OID.keyUsage,
  OID.subjectAltName,
  OID.subjectKeyIdentifier,
]);

/**
 * Takes what an agent sends: the EK certificate and, in any order, intermediate ones.
 *
 * @throws SpiffeError `ATTESTATION_DENIED` (A1) unless each is the exact DER of one certificate, `CERTIFICATE_INVALID`
 */
export function parseEkCertificates(ders: readonly Uint8Array[]): readonly Certificate[] {
  return ders.map((der) => {
    const length = new DerReader(der).readElement('the EK certificate').der.length;
    requireCheck('A1', length === der.length, `${der.length - length} bytes follow the end of the EK certificate`);
    return parseCertificate(der);
  });
}

/**
 * Picks the certificate of the endorsement key.
 *
 * @param spki the key's, canonical
 * @returns undefined when none was sent
 * @throws SpiffeError `ATTESTATION_DENIED`: A5 for a key that cannot be an EK, A6 when all are for other keys
 */
export function findEkCertificate(certificates: readonly Certificate[], spki: Uint8Array): Certificate | undefined {
  if (certificates.length === 0) {
    return undefined;
  }
  const found = certificates.find((certificate) => isKeyOf(certificate, spki));
  requireCheck('A6', found !== undefined, 'the EK certificate is for another key than the endorsement key of the TPM');
  const key = parseSpki(found.subjectPublicKeyInfo);
  requireCheck(
    'A5',
    key.type === 'ec' || (key.type === 'rsa' && key.algorithm !== 'rsassaPss'),
    'the key of the EK certificate is marked for signatures, rsaEncryption, id-RSAES-OAEP or id-ecPublicKey is needed',
  );
  return found;
}

/** The canonical form makes rsaEncryption of id-RSAES-OAEP, which some makers write (RFC 4055 §4.1). */
function isKeyOf(certificate: Certificate, spki: Uint8Array): boolean {
  try {
    return Buffer.compare(canonicalSpki(certificate.subjectPublicKeyInfo), spki) === 0;
  } catch (error) {
    if (isSpiffeError(error)) return false;
    throw error;
  }
}

/** A chain to a trust anchor, or why there is none. */
export type EkChain = { readonly chain: readonly Certificate[] } | { readonly reason: string };

/**
 * Builds the chain of an EK certificate. Nothing is fetched: intermediates come with the certificate or lie beside the
 * trust anchors. A path to a self-signed root is preferred; any CA that the operator lists may end one.
 */
export function findEkChain(leaf: Certificate, sent: readonly Certificate[], trust: EkTrust, now: Date): EkChain {
  const listed = [...trust.hardwareCas, ...trust.virtualCas];
  const roots = listed.filter((ca) => isSameName(ca.subject, ca.issuer));
  const others = sent.filter((certificate) => certificate !== leaf);
  const options = { leaf, now, understoodCriticalExtensions: [...UNDERSTOOD_ON_EK] };
  const attempts = [
    { ...options, roots, intermediates: candidates(leaf, [...listed, ...others]) },
    { ...options, roots: listed, intermediates: candidates(leaf, others) },
  ];
  let reason = '';
  for (const attempt of attempts) {
    try {
      return { chain: verifyChain(attempt) };
    } catch (error) {
      if (!isSpiffeError(error)) throw error;
      reason = error.message;
    }
  }
  return { reason };
}

/** Only what may be above the leaf, by name: an operator's bundle holds hundreds of intermediates. */
function candidates(leaf: Certificate, pool: readonly Certificate[]): readonly Certificate[] {
  const found = new Set<Certificate>();
  let names = [leaf.issuer];
  while (names.length > 0) {
    const next = pool.filter((ca) => !found.has(ca) && names.some((name) => isSameName(ca.subject, name)));
    for (const ca of next) {
      found.add(ca);
    }
    names = next.map((ca) => ca.issuer);
  }
  return [...found].slice(0, MAX_CANDIDATES);
}

/**
 * Judges an EK certificate and its chain.
 *
 * @throws SpiffeError `ATTESTATION_DENIED` (A2, A3, A4, A8, A10)
 * @see TCG EK Credential Profile 2.5, §3.2
 */
export function requireEkCertificate(leaf: Certificate, found: EkChain, trust: EkTrust, now: Date): EkCertificateFacts {
  for (const { oid, isCritical } of leaf.extensions.values()) {
    requireCheck(
      'A3',
      !isCritical || UNDERSTOOD_ON_EK.has(oid),
      `the EK certificate has a critical extension ${oid} that is not understood`,
    );
  }
  requireCheck('A2', 'chain' in found, `the EK certificate is not trusted: ${'reason' in found ? found.reason : ''}`);
  const { chain } = found;
  requireEkUsage(leaf, trust.tolerateMissingEku);
  const names = requireTpmNames(leaf);
  requireUnrevokedChain(chain, trust.revocation, now);
  return { chain, ...names, kind: kindOf(chain, names, trust) };
}

function requireEkUsage(leaf: Certificate, tolerateMissingEku: boolean): void {
  const { extendedKeyUsage, keyUsage } = leaf;
  requireCheck(
    'A4',
    extendedKeyUsage === undefined ? tolerateMissingEku : extendedKeyUsage.includes(TCG_OID.kpEkCertificate),
    `the certificate of the endorsement key has the extended key usage ${extendedKeyUsage?.join(', ') ?? 'none'}, ` +
      `${TCG_OID.kpEkCertificate} is needed`,
  );
  requireCheck('A4', !leaf.isCa, 'the EK certificate is one of a CA');
  const isRsa = parseSpki(leaf.subjectPublicKeyInfo).type === 'rsa';
  requireCheck(
    'A4',
    (isRsa ? keyUsage?.keyEncipherment : keyUsage?.keyAgreement) === true,
    `the EK certificate lacks the key usage ${isRsa ? 'keyEncipherment' : 'keyAgreement'}`,
  );
}

/** The directoryName of the SAN, with manufacturer, model and version: profile, §3.2.9. */
function requireTpmNames(leaf: Certificate): Pick<EkCertificateFacts, 'manufacturer' | 'model' | 'version'> {
  const attributes = leaf.subjectAltNames
    .filter(({ tag }) => tag === GeneralNameTag.directory)
    .flatMap(({ content }) => parseName(content).flat());
  const textOf = (type: string): string | undefined => {
    const values = attributes.filter((attribute) => attribute.type === type);
    const [value] = values.length === 1 ? values : [];
    return value && decodeString(new DerReader(value.value).readElement(`the attribute ${type}`));
  };
  const manufacturer = textOf(TCG_OID.tpmManufacturer);
  const model = textOf(TCG_OID.tpmModel);
  const version = textOf(TCG_OID.tpmVersion);
  requireCheck(
    'A3',
    manufacturer !== undefined && model !== undefined && version !== undefined,
    'the subjectAltName of the EK certificate does not name manufacturer, model and version of the TPM, once each',
  );
  return { manufacturer, model, version };
}

function kindOf(
  chain: readonly Certificate[],
  { manufacturer }: Pick<EkCertificateFacts, 'manufacturer'>,
  trust: EkTrust,
): 'hardware' | 'virtual' {
  const issuers = chain.slice(1);
  const isAmong = (cas: readonly Certificate[]) =>
    issuers.some((issuer) => cas.some((ca) => Buffer.compare(ca.der, issuer.der) === 0));
  const isVirtual = isAmong(trust.virtualCas);
  requireCheck(
    'A10',
    !isVirtual || !isAmong(trust.hardwareCas),
    'a CA of the EK certificate is listed for hardware and for virtual TPMs: keep it in "virtual_ca_path" alone',
  );
  return isVirtual || trust.virtualManufacturers.has(manufacturer.toLowerCase()) ? 'virtual' : 'hardware';
}
