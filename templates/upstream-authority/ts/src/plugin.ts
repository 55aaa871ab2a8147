import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import {
  type Certificate,
  decodePem,
  defineUpstreamAuthority,
  issueCaCertificate,
  parseCertificate,
  parseCsr,
  type Signer,
  SpiffeError,
  signerOfKeyObject,
  type TrustDomain,
  z,
} from 'assayer/plugin-sdk';

const DAY_SECONDS = 86_400;
const BACKDATED_MS = 10_000;

const path = z.string().regex(/^\//, { error: 'must be the absolute path of a file' });
const config = z.strictObject({ cert_path: path, key_path: path });

export interface Root {
  readonly certificate: Certificate;
  readonly signer: Signer;
}

/** @throws SpiffeError where the files are not there, or do not belong together */
export async function readRoot(certPath: string, keyPath: string): Promise<Root> {
  const [der] = decodePem(await read(certPath), 'CERTIFICATE');
  if (der === undefined) throw new SpiffeError('CONFIG_INVALID', 'cert_path: the file has no certificate');
  const key = parseKey(await read(keyPath));
  if (!new X509Certificate(der).checkPrivateKey(key)) {
    throw new SpiffeError('CONFIG_INVALID', 'key_path: it is not the key of the certificate in cert_path');
  }
  const certificate = parseCertificate(der);
  if (!certificate.isCa) throw new SpiffeError('CONFIG_INVALID', 'cert_path: the certificate is not that of a CA');
  return { certificate, signer: signerOfKeyObject(key) };
}

function parseKey(pem: string): ReturnType<typeof createPrivateKey> {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw new SpiffeError('CONFIG_INVALID', 'key_path: the file has no private key', { cause });
  }
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new SpiffeError('CONFIG_INVALID', `the file ${JSON.stringify(file)} cannot be read`, { cause });
  }
}

/** @returns the CA's certificate, DER */
export async function mint(
  root: Root,
  csr: Uint8Array,
  ttlSeconds: number,
  trustDomain: TrustDomain,
): Promise<Uint8Array> {
  const now = Date.now();
  const wanted = now + (ttlSeconds > 0 ? ttlSeconds : DAY_SECONDS) * 1000;
  return await issueCaCertificate({
    issuer: root,
    subjectPublicKeyInfo: parseCsr(csr).subjectPublicKeyInfo,
    trustDomain,
    serialNumber: Uint8Array.of(0x40, ...randomBytes(17)),
    notBefore: new Date(now - BACKDATED_MS),
    notAfter: new Date(Math.min(wanted, root.certificate.notAfter.getTime())),
  });
}

export const plugin = defineUpstreamAuthority({
  name: '__NAME__',
  config,
  configure: ({ cert_path: certPath, key_path: keyPath }) => readRoot(certPath, keyPath),
  async *mintX509Ca({ csr, preferredTtlSeconds }, root, { trustDomain }) {
    const certificates = [await mint(root, csr, preferredTtlSeconds, trustDomain)];
    yield { certificates, roots: [{ certificate: root.certificate.der, tainted: false }] };
  },
  async *subscribeToLocalBundle(root) {
    yield { x509Authorities: [{ certificate: root.certificate.der, tainted: false }], jwtAuthorities: [] };
  },
});
