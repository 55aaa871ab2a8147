import {
  type Certificate,
  isSignedWith,
  isSpiffeError,
  parseSignedData,
  quoteText,
  type SignedData,
  SpiffeError,
  z,
} from '../../plugin-sdk/index.ts';
import type { AttestationPayload } from './attestation-payload.ts';

const text = z.string().min(1).max(256);
const shape = z.object({
  accountId: z.string().regex(/^\d{12}$/),
  region: text,
  instanceId: z.string().regex(/^i-[0-9a-f]{8,32}$/),
  imageId: text,
  availabilityZone: text,
});

/** What AWS says of an EC2 instance. */
export type IdentityDocument = z.output<typeof shape>;

/** AWS' certificates for a region: of one that is about to change there are two. */
export type FindCertificates = (region: string) => readonly Certificate[];

/**
 * Verifies an instance identity document: that the key of its region signed these very octets.
 *
 * @throws SpiffeError `ARGUMENT_INVALID` for what cannot be read, `ATTESTATION_DENIED` for what AWS did not sign
 * @see Amazon EC2 User Guide, "Verify instance identity document for an Amazon EC2 instance"
 */
export function verifyDocument(
  { document, rsa2048 }: AttestationPayload,
  findCertificates: FindCertificates,
  now: Date,
): IdentityDocument {
  const octets = Buffer.from(document, 'utf8');
  const signed = parseSignature(rsa2048);
  const claimed = parseDocument(octets);
  const certificates = findCertificates(claimed.region);
  if (certificates.length === 0) {
    throw denied(
      `is of the region ${quoteText(claimed.region)}, for which no certificate of AWS is known: add it to "region_certificates"`,
    );
  }
  const current = certificates.filter(({ notBefore, notAfter }) => notBefore <= now && now <= notAfter);
  if (current.length === 0) throw denied(`is of the region "${claimed.region}", whose certificate is out of its time`);
  if (!current.some((certificate) => isSignedWith(signed, certificate))) {
    throw denied(`is not signed by AWS’ key for the region "${claimed.region}"`);
  }
  if (Buffer.compare(octets, signed.content) !== 0) {
    throw denied('is another one than that which is signed: somebody put it in its place');
  }
  return claimed;
}

function parseSignature(base64: string): SignedData {
  const lines = base64.replaceAll(/\s/g, '');
  const der = Buffer.from(lines, 'base64');
  if (der.length === 0 || der.toString('base64') !== lines) {
    throw new SpiffeError('ARGUMENT_INVALID', 'the signature "rsa2048" of the instance identity document is no base64');
  }
  try {
    return parseSignedData(der);
  } catch (cause) {
    if (!isSpiffeError(cause)) throw cause;
    const message = `the signature "rsa2048" of the instance identity document cannot be read: ${cause.message}`;
    throw new SpiffeError('ARGUMENT_INVALID', message, { cause });
  }
}

function parseDocument(octets: Uint8Array): IdentityDocument {
  const refuse = (what: string, cause?: unknown) =>
    new SpiffeError('ARGUMENT_INVALID', `the instance identity document ${what}`, { cause });
  let fields: unknown;
  try {
    fields = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(octets));
  } catch (cause) {
    throw refuse('is no JSON', cause);
  }
  const parsed = shape.safeParse(fields);
  if (parsed.success) return parsed.data;
  throw refuse(`has no good "${parsed.error.issues[0]?.path.join('.') ?? ''}"`);
}

const denied = (what: string) => new SpiffeError('ATTESTATION_DENIED', `the instance identity document ${what}`);
