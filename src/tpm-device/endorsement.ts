import { createHash } from 'node:crypto';
import { isSpiffeError, SpiffeError } from '../spiffe/error.ts';
import { EK_TEMPLATES, type EkTemplate, type EkTemplateName } from '../tpm/ek-templates.ts';
import { spkiOfPublicArea } from '../tpm/public-key.ts';
import { parseCertificate } from '../x509/certificate.ts';
import { canonicalSpki } from '../x509/spki.ts';
import type { TpmDevice, TpmKey } from './device.ts';
import { findNvCertificate, readNvChain } from './nv-certificates.ts';

/** `auto`: the first endorsement key that has a certificate. */
export type EkAlgorithm = 'auto' | 'rsa-2048' | 'ec-p256' | 'ec-p384';

/** The templates of an algorithm, those that are found most first. */
const TEMPLATES: Readonly<Record<EkAlgorithm, readonly EkTemplateName[]>> = {
  'rsa-2048': ['L-1', 'H-1'],
  'ec-p256': ['L-2', 'H-2'],
  'ec-p384': ['H-3'],
  auto: ['L-1', 'L-2', 'H-1', 'H-2', 'H-3'],
};

export interface EndorsementKey {
  readonly key: TpmKey;
  readonly template: EkTemplate;
  /** Exact DER, the EK's own first; empty where the TPM has none for it. */
  readonly certificates: readonly Uint8Array[];
}

/**
 * The endorsement key to attest with: the first whose certificate the TPM holds, else the first that the TPM can make.
 *
 * @throws SpiffeError `TPM_UNAVAILABLE` where it can make none
 */
export async function loadEndorsementKey(tpm: TpmDevice, algorithm: EkAlgorithm): Promise<EndorsementKey> {
  const templates = TEMPLATES[algorithm].flatMap((name) => EK_TEMPLATES.filter((template) => template.name === name));
  for (const template of templates) {
    const found = await findCertifiedKey(tpm, template);
    if (found !== undefined) return found;
  }
  const failures: unknown[] = [];
  for (const template of templates) {
    try {
      return { key: await tpm.createEk(template), template, certificates: [] };
    } catch (error) {
      if (!isSpiffeError(error, 'TPM_UNAVAILABLE')) throw error;
      failures.push(error);
    }
  }
  const [first] = failures;
  throw failures.length === 1 || isSpiffeError(first) ? first : new SpiffeError('TPM_UNAVAILABLE', 'no EK template');
}

/** SHA-256 of the canonical SubjectPublicKeyInfo, by which a server knows an EK without a certificate. */
export function ekHash({ key }: EndorsementKey): string {
  return createHash('sha256').update(spkiOfPublicArea(key.publicArea)).digest('hex');
}

async function findCertifiedKey(tpm: TpmDevice, template: EkTemplate): Promise<EndorsementKey | undefined> {
  const found = await findCertificate(tpm, template.certificateNvIndex);
  if (found === undefined) return undefined;
  const isCertified = (key: Parameters<typeof spkiOfPublicArea>[0]) =>
    Buffer.compare(spkiOfPublicArea(key), found.spki) === 0;
  const key = (await tpm.findPersistentEk(template, isCertified)) ?? (await tpm.createEk(template));
  if (!isCertified(key.publicArea)) {
    await key[Symbol.asyncDispose](); // the vendor made the certified key from a template of its own
    return undefined;
  }
  return { key, template, certificates: [found.certificate, ...(await readNvChain(tpm))] };
}

/** A certificate that cannot be read helps nobody: the TPM counts as one that has none. */
async function findCertificate(
  tpm: TpmDevice,
  index: number,
): Promise<{ certificate: Uint8Array; spki: Uint8Array } | undefined> {
  try {
    const certificate = await findNvCertificate(tpm, index);
    if (certificate === undefined) return undefined;
    return { certificate, spki: canonicalSpki(parseCertificate(certificate).subjectPublicKeyInfo) };
  } catch (error) {
    if (isSpiffeError(error) && error.code !== 'TPM_UNAVAILABLE') return undefined;
    throw error;
  }
}
