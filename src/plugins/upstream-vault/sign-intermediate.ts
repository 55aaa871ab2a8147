import {
  attributeText,
  type Certificate,
  decodePem,
  encodePem,
  type MintedX509Ca,
  type MintRequest,
  messageOf,
  OID,
  parseCertificate,
  parseCsr,
  parseName,
  SpiffeError,
  verifyChain,
} from '../../plugin-sdk/index.ts';
import { partOf, type VaultSession } from '../vault-client/vault-session.ts';

const MAX_CERTIFICATES = 16;

/**
 * Has the PKI engine sign the server's CA, and verifies what comes as everybody will.
 *
 * @throws SpiffeError `CSR_INVALID`; what the Vault refuses with; `FAILED_PRECONDITION` where it signed something else
 */
export async function signIntermediate(
  { csr, preferredTtlSeconds }: MintRequest,
  { vault, mountPoint, trustDomain }: { vault: VaultSession; mountPoint: string; trustDomain: string },
  signal: AbortSignal,
): Promise<MintedX509Ca> {
  const { subject, subjectPublicKeyInfo, uriNames } = parseCsr(csr);
  const id = `spiffe://${trustDomain}`;
  if (uriNames.length !== 1 || uriNames[0] !== id) {
    throw new SpiffeError(
      'ARGUMENT_INVALID',
      `the CSR of a CA of "${trustDomain}" has to have the URI name ${id} alone`,
    );
  }
  const answer = await vault.request(
    {
      method: 'POST',
      path: `${mountPoint}/root/sign-intermediate`,
      body: {
        csr: encodePem('CERTIFICATE REQUEST', csr),
        common_name: textsIn(subject, OID.commonName).join(' '),
        organization: textsIn(subject, OID.organizationName).join(','),
        country: textsIn(subject, OID.countryName).join(','),
        uri_sans: id,
        ttl: preferredTtlSeconds > 0 ? String(preferredTtlSeconds) : '',
      },
    },
    signal,
  );
  return toMinted(partOf(answer, 'data') ?? {}, subjectPublicKeyInfo, vault.where);
}

/** `certificate`, `issuing_ca`, and `ca_chain`: from Vault 1.11 on with the certificate itself, to the root where Vault knows it. */
function toMinted(data: Readonly<Record<string, unknown>>, publicKey: Uint8Array, where: string): MintedX509Ca {
  try {
    const [signed] = certificatesIn(data.certificate);
    const [issuer] = certificatesIn(data.issuing_ca);
    if (signed === undefined || issuer === undefined) throw new Error('a certificate is missing');
    const chain = Array.isArray(data.ca_chain) ? data.ca_chain.flatMap(certificatesIn) : [];
    if (chain.length > MAX_CERTIFICATES) throw new Error(`the chain has ${chain.length} certificates`);
    if (Buffer.compare(signed.subjectPublicKeyInfo, publicKey) !== 0) throw new Error('it is for another key');
    if (!signed.isCa) throw new Error('it is no CA');
    const above = chain.filter(({ der }) => Buffer.compare(der, signed.der) !== 0);
    const root = above.at(-1) ?? issuer;
    const intermediates = above.filter((one) => one !== root);
    const path = verifyChain({ leaf: signed, intermediates, roots: [root], now: new Date() });
    return {
      certificates: path.slice(0, -1).map(({ der }) => der),
      roots: [{ certificate: root.der, tainted: false }],
    };
  } catch (cause) {
    throw new SpiffeError('FAILED_PRECONDITION', `what ${where} signed cannot be used: ${messageOf(cause)}`, { cause });
  }
}

function certificatesIn(pem: unknown): readonly Certificate[] {
  return typeof pem === 'string' ? decodePem(pem, 'CERTIFICATE').map(parseCertificate) : [];
}

function textsIn(name: Uint8Array, oid: string): readonly string[] {
  return parseName(name)
    .flat()
    .flatMap((attribute) => (attribute.type === oid ? [attributeText(attribute) ?? ''] : []));
}
