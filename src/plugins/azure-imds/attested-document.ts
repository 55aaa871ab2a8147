import {
  type Certificate,
  isNamed,
  isSignedWith,
  isSpiffeError,
  OID,
  parseCertificate,
  parseSignedData,
  quoteText,
  type SignedData,
  SpiffeError,
  verifyChain,
  z,
} from '../../plugin-sdk/index.ts';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
/** As far as clocks may differ. */
const LEEWAY_MS = 60_000;

const content = z.object({
  nonce: z.string(),
  subscriptionId: z.string().regex(UUID),
  vmId: z.string().regex(UUID),
  timeStamp: z.object({ expiresOn: z.string().optional() }).optional(),
});

/** What Azure says of a virtual machine. */
export interface VirtualMachineProof {
  readonly subscriptionId: string;
  readonly vmId: string;
}

export interface DocumentRules {
  readonly roots: readonly Certificate[];
  /** A name of the signer's certificate has to be one of these domains, or below one. */
  readonly metadataDomains: readonly string[];
  /** The issuer of a certificate, from where the certificate says that it is. */
  readonly findIssuer: (certificate: Certificate) => Promise<Certificate>;
}

/**
 * Verifies an attested document: that a metadata service of Azure signed it, now, for this nonce.
 *
 * @param signature base64
 * @throws SpiffeError `ARGUMENT_INVALID` for what cannot be read, `ATTESTATION_DENIED` for what is not good here
 * @see Azure, "Azure Instance Metadata Service for virtual machines", "Attested data"
 */
export async function verifyAttestedDocument(
  signature: string,
  nonce: string,
  { roots, metadataDomains, findIssuer }: DocumentRules,
  now: Date,
): Promise<VirtualMachineProof> {
  const signed = parseSignature(signature);
  const { signer, others } = splitCertificates(signed);
  if (!isSignedWith(signed, signer)) throw denied('has a signature that is not by the certificate that it names');
  requireMetadataName(signer, metadataDomains);
  if (signer.extendedKeyUsage !== undefined && !signer.extendedKeyUsage.includes(OID.serverAuth)) {
    throw denied('is signed with a certificate that is for no server');
  }
  await requireChain(signer, others, { roots, findIssuer }, now);
  return requireContent(signed.content, nonce, now);
}

function parseSignature(base64: string): SignedData {
  const der = Buffer.from(base64, 'base64');
  if (der.length === 0 || der.toString('base64') !== base64) {
    throw new SpiffeError('ARGUMENT_INVALID', 'the signature of the attested document is no base64');
  }
  return read('the signature of the attested document', () => parseSignedData(der));
}

/** The certificates come in any order, and with whatever else somebody put there. */
function splitCertificates(signed: SignedData): {
  readonly signer: Certificate;
  readonly others: readonly Certificate[];
} {
  const certificates = signed.certificates.map((der) =>
    read('a certificate of the attested document', () => parseCertificate(der)),
  );
  const signer = certificates.find((certificate) => isNamed(signed.signer, certificate));
  if (signer === undefined) throw denied('comes without the certificate of its signer');
  return { signer, others: certificates.filter((certificate) => certificate !== signer) };
}

function requireMetadataName({ dnsNames }: Certificate, domains: readonly string[]): void {
  const isBelow = (name: string) =>
    domains.some((domain) => name === domain || (name.endsWith(`.${domain}`) && !name.includes('*')));
  if (dnsNames.some((name) => isBelow(name.toLowerCase()))) return;
  const names = quoteText(dnsNames.join(', '));
  throw denied(`is signed by ${names}, which is in none of "allowed_metadata_domains": ${domains.join(', ')}`);
}

async function requireChain(
  leaf: Certificate,
  others: readonly Certificate[],
  { roots, findIssuer }: Pick<DocumentRules, 'roots' | 'findIssuer'>,
  now: Date,
): Promise<void> {
  let intermediates = others;
  const find = () => verifyChain({ leaf, intermediates, roots, now });
  let chain: readonly Certificate[];
  try {
    chain = find();
  } catch (error) {
    if (!isSpiffeError(error, 'CERTIFICATE_UNTRUSTED')) throw error;
    intermediates = [...others, await findIssuer(leaf)];
    chain = find();
  }
  const isForServers = ({ extendedKeyUsage: usage }: Certificate) =>
    usage === undefined || usage.includes(OID.serverAuth);
  if (!chain.slice(1, -1).every(isForServers)) throw denied('leads to an authority that is for no servers');
}

function requireContent(octets: Uint8Array, nonce: string, now: Date): VirtualMachineProof {
  let fields: unknown;
  try {
    fields = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(octets));
  } catch (cause) {
    throw new SpiffeError('ARGUMENT_INVALID', 'the attested document is no JSON', { cause });
  }
  const parsed = content.safeParse(fields);
  if (!parsed.success) {
    const field = parsed.error.issues[0]?.path.join('.') ?? '';
    throw new SpiffeError('ARGUMENT_INVALID', `the attested document has no good "${field}"`);
  }
  const { subscriptionId, vmId, timeStamp } = parsed.data;
  if (parsed.data.nonce !== nonce)
    throw denied('has another nonce than this server gave: it is from another attestation');
  if (timeStamp?.expiresOn !== undefined) requireUnexpired(timeStamp.expiresOn, now);
  return { subscriptionId, vmId };
}

/** `MM/DD/YY HH:MM:SS -0000`, in UTC. */
function requireUnexpired(text: string, now: Date): void {
  const [, month, day, year, time] = /^(\d\d)\/(\d\d)\/(\d\d) (\d\d:\d\d:\d\d) [-+]0000$/.exec(text) ?? [];
  const end = new Date(`20${year}-${month}-${day}T${time}Z`);
  if (Number.isNaN(end.getTime())) {
    throw new SpiffeError(
      'ARGUMENT_INVALID',
      `the attested document has no time in "timeStamp.expiresOn": ${quoteText(text)}`,
    );
  }
  if (end.getTime() + LEEWAY_MS < now.getTime()) throw denied(`expired at ${end.toISOString()}: are the clocks right?`);
}

function read<T>(what: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    if (!isSpiffeError(cause)) throw cause;
    throw new SpiffeError('ARGUMENT_INVALID', `${what} cannot be read: ${cause.message}`, { cause });
  }
}

const denied = (what: string) => new SpiffeError('ATTESTATION_DENIED', `the attested document ${what}`);
