import { createHash, generateKeyPairSync } from 'node:crypto';
import type { SignatureHash } from '../../../src/addon/raw-signature.ts';
import { SoftwareKey } from '../../../src/plugin-sdk/index.ts';
import { issueCaCertificate } from '../../../src/x509/ca-template.ts';
import { type Certificate, parseCertificate } from '../../../src/x509/certificate.ts';
import { parseCsr } from '../../../src/x509/csr.ts';
import { encodeName } from '../../../src/x509/name.ts';
import { decodePem, encodePem } from '../../../src/x509/pem.ts';
import { randomSerialNumber } from '../../../src/x509/serial-number.ts';
import { type KeyType, type Signer, signerOfKeyObject } from '../../../src/x509/signer.ts';

export type Body = Readonly<Record<string, unknown>>;

export interface Answer {
  readonly status: number;
  readonly body?: object;
  readonly headers?: Readonly<Record<string, string>>;
}

const KEY_TYPES: Readonly<Record<string, KeyType>> = {
  'ecdsa-p256': 'ec-p256',
  'ecdsa-p384': 'ec-p384',
  'rsa-2048': 'rsa-2048',
  'rsa-4096': 'rsa-4096',
};

interface HeldKey {
  readonly key: SoftwareKey;
  readonly type: string;
  createdAt: string;
  isDeletable: boolean;
}

/** The engine `transit`, with real keys. */
export class TransitEngine {
  readonly keys = new Map<string, HeldKey>();

  async answer(method: string, [kind, name = '', rest]: readonly string[], body: Body): Promise<Answer> {
    const held = this.keys.get(name);
    if (method === 'LIST') {
      const names = [...this.keys.keys()];
      return names.length === 0 ? refusal(404) : { status: 200, body: { data: { keys: names } } };
    }
    if (kind === 'keys' && method === 'POST' && rest === undefined) return await this.#create(name, String(body.type));
    if (held === undefined) return refusal(404);
    if (kind === 'sign') return sign(held.key, rest ?? '', body);
    if (method === 'POST') {
      held.isDeletable = body.deletion_allowed === true;
      return { status: 204 };
    }
    if (method === 'DELETE') {
      if (!held.isDeletable) return refusal(400, 'deletion is not allowed for this key');
      this.keys.delete(name);
      return { status: 204 };
    }
    const version = {
      public_key: encodePem('PUBLIC KEY', held.key.record.publicKey),
      creation_time: held.createdAt,
    };
    return { status: 200, body: { data: { type: held.type, latest_version: 1, keys: { 1: version } } } };
  }

  async #create(name: string, type: string): Promise<Answer> {
    const keyType = KEY_TYPES[type];
    if (keyType === undefined) return refusal(400, `unknown key type ${type}`);
    const key = await SoftwareKey.generate(name, keyType);
    this.keys.set(name, { key, type, createdAt: new Date().toISOString(), isDeletable: false });
    return { status: 204 };
  }
}

function sign(key: SoftwareKey, hashName: string, body: Body): Answer {
  const hash = hashName.replace(/^sha2-/, 'sha') as SignatureHash;
  const digest = Buffer.from(String(body.input), 'base64');
  const isRsa = key.record.type.startsWith('rsa');
  const isWhole = !isRsa || digest.length === createHash(hash).digest().length;
  if (body.prehashed !== true || !isWhole) return refusal(400, 'wrong digest');
  if (body.key_version !== 1 || body.marshaling_algorithm !== 'asn1') return refusal(400, 'wrong version or form');
  if (isRsa !== (body.signature_algorithm !== undefined)) return refusal(400, 'wrong signature algorithm');
  const salt = { hash: -1, auto: 0 }[String(body.salt_length)] ?? Number(body.salt_length);
  const signature = key.signDigest(
    digest,
    body.signature_algorithm === 'pss' ? { scheme: 'pss', hash, saltLength: salt } : { scheme: 'default', hash },
  );
  return { status: 200, body: { data: { signature: `vault:v1:${Buffer.from(signature).toString('base64')}` } } };
}

/** The engine PKI: a CA below a root that it knows. */
export class PkiEngine {
  readonly root: Certificate;
  readonly #ca: Certificate;
  readonly #signer: Signer;

  private constructor(root: Certificate, ca: Certificate, signer: Signer) {
    this.root = root;
    this.#ca = ca;
    this.#signer = signer;
  }

  static async create(): Promise<PkiEngine> {
    const [rootSigner, signer] = [newSigner(), newSigner()];
    const root = await issue({ issuer: 'self', signer: rootSigner }, 'Vault Root', 7200);
    const ca = await issue({ issuer: { signer: rootSigner, certificate: root }, signer }, 'Vault CA', 7200);
    return new PkiEngine(root, ca, signer);
  }

  async answer(body: Body): Promise<Answer> {
    const [csr = new Uint8Array()] = decodePem(String(body.csr), 'CERTIFICATE REQUEST');
    const { subjectPublicKeyInfo } = parseCsr(csr);
    const issuer = { signer: this.#signer, certificate: this.#ca };
    const signed = await issue({ issuer, subjectPublicKeyInfo }, String(body.organization), Number(body.ttl || 3600));
    const pem = ({ der }: Certificate) => encodePem('CERTIFICATE', der);
    const data = {
      certificate: pem(signed),
      issuing_ca: pem(this.#ca),
      ca_chain: [pem(signed), pem(this.#ca), pem(this.root)],
    };
    return { status: 200, body: { data } };
  }
}

async function issue(
  key: {
    issuer: 'self' | { signer: Signer; certificate: Certificate };
    signer?: Signer;
    subjectPublicKeyInfo?: Uint8Array;
  },
  organization: string,
  ttlSeconds: number,
): Promise<Certificate> {
  const fields = {
    trustDomain: 'example.org',
    subject: encodeName({ organization }),
    serialNumber: randomSerialNumber(),
    notBefore: new Date(Date.now() - 10_000),
    notAfter: new Date(Date.now() + ttlSeconds * 1000),
  };
  return parseCertificate(await issueCaCertificate({ ...key, ...fields } as Parameters<typeof issueCaCertificate>[0]));
}

const newSigner = () => signerOfKeyObject(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);

export function refusal(status: number, ...errors: readonly string[]): Answer {
  return { status, body: { errors } };
}
