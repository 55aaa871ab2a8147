import { SpiffeError } from '../../spiffe/error.ts';
import { requireCheck } from '../../x509/require-check.ts';

/** What TPM2_Certify gives. */
export interface Certification {
  /** TPMS_ATTEST. */
  readonly attest: Uint8Array;
  /** TPMT_SIGNATURE. */
  readonly signature: Uint8Array;
}

/** Agent to server, first. Public areas are TPMT_PUBLIC, without the length that a TPM2B has before it. */
export interface DevidPayload {
  /** DER, the DevID's own first, then what leads to a root. */
  readonly devidCertificates: readonly [Uint8Array, ...Uint8Array[]];
  readonly devidPublic: Uint8Array;
  /** DER. */
  readonly ekCertificate: Uint8Array;
  readonly ekPublic: Uint8Array;
  readonly akPublic: Uint8Array;
  /** Of the DevID key by the attestation key, with any qualifying data. */
  readonly certification: Certification;
}

/** Server to agent. */
export interface DevidChallenge {
  /** To be signed by the DevID key. */
  readonly devidNonce: Uint8Array;
  /** The content of TPM2B_ID_OBJECT, without its length. */
  readonly credentialBlob: Uint8Array;
  /** The content of TPM2B_ENCRYPTED_SECRET, without its length. */
  readonly encryptedSecret: Uint8Array;
  /** Asks for a certification that is bound to the CSR's key; SPIRE's server never does, its agent passes it over. */
  readonly bindingNonce?: Uint8Array;
}

/** Agent to server, last. */
export interface DevidResponse {
  /** RSASSA octets, or the DER of an ECDSA-Sig-Value. */
  readonly devidSignature: Uint8Array;
  /** certInfo of TPM2_ActivateCredential, without its length. */
  readonly secret: Uint8Array;
  readonly boundCertification?: Certification;
}

/** Larger than any honest message, checked before one is parsed. */
export const MAX_MESSAGE_BYTES = { payload: 131_072, challenge: 8192, response: 16_384 } as const;
export const MAX_CERTIFICATES = 8;
const MAX_BYTES = { certificate: 8192, publicArea: 1024, attest: 1024, signature: 1024, nonce: 1024 } as const;

type Kind = keyof typeof MAX_MESSAGE_BYTES;
type Fields = Readonly<Record<string, unknown>>;

/** JSON as Go's encoding/json writes SPIRE's structures: docs/plugins/tpm-devid.md, "On the wire". */
export function encodeDevidPayload(payload: DevidPayload): Uint8Array {
  return encode({
    DevIDCert: payload.devidCertificates.map(toBase64),
    DevIDPub: toBase64(payload.devidPublic),
    EKCert: toBase64(payload.ekCertificate),
    EKPub: toBase64(payload.ekPublic),
    AKPub: toBase64(payload.akPublic),
    CertifiedDevID: toBase64(payload.certification.attest),
    CertificationSignature: toBase64(payload.certification.signature),
  });
}

/** @throws SpiffeError `TPM_DATA_INVALID`; `ATTESTATION_DENIED` (F42) when larger than {@link MAX_MESSAGE_BYTES} */
export function decodeDevidPayload(bytes: Uint8Array): DevidPayload {
  const fields = decode(bytes, 'payload');
  const sent = fields.DevIDCert;
  const [first, ...others]: readonly unknown[] = Array.isArray(sent) ? sent : [];
  if (others.length >= MAX_CERTIFICATES) {
    throw invalid(
      'payload',
      `has ${others.length + 1} certificates in "DevIDCert", at most ${MAX_CERTIFICATES} are read`,
    );
  }
  const certificateIn = (value: unknown) => bytesIn(value, 'DevIDCert', 'payload', MAX_BYTES.certificate);
  const field = (name: string, max: number) => bytesIn(fields[name], name, 'payload', max);
  return {
    devidCertificates: [certificateIn(first), ...others.map(certificateIn)],
    devidPublic: field('DevIDPub', MAX_BYTES.publicArea),
    ekCertificate: field('EKCert', MAX_BYTES.certificate),
    ekPublic: field('EKPub', MAX_BYTES.publicArea),
    akPublic: field('AKPub', MAX_BYTES.publicArea),
    certification: {
      attest: field('CertifiedDevID', MAX_BYTES.attest),
      signature: field('CertificationSignature', MAX_BYTES.signature),
    },
  };
}

export function encodeDevidChallenge(challenge: DevidChallenge): Uint8Array {
  return encode({
    DevID: toBase64(challenge.devidNonce),
    CredActivation: {
      Credential: toBase64(challenge.credentialBlob),
      Secret: toBase64(challenge.encryptedSecret),
    },
    ...(challenge.bindingNonce === undefined ? {} : { BindingNonce: toBase64(challenge.bindingNonce) }),
  });
}

/** @throws SpiffeError as {@link decodeDevidPayload} */
export function decodeDevidChallenge(bytes: Uint8Array): DevidChallenge {
  const fields = decode(bytes, 'challenge');
  const activation = fields.CredActivation;
  if (!isObject(activation)) throw invalid('challenge', 'has no credential to activate in "CredActivation"');
  const field = (from: Fields, name: string) => bytesIn(from[name], name, 'challenge', MAX_BYTES.nonce);
  return {
    devidNonce: field(fields, 'DevID'),
    credentialBlob: field(activation, 'Credential'),
    encryptedSecret: field(activation, 'Secret'),
    ...(isAbsent(fields.BindingNonce) ? {} : { bindingNonce: field(fields, 'BindingNonce') }),
  };
}

export function encodeDevidResponse(response: DevidResponse): Uint8Array {
  const { boundCertification } = response;
  return encode({
    DevID: toBase64(response.devidSignature),
    CredActivation: toBase64(response.secret),
    ...(boundCertification === undefined
      ? {}
      : {
          BoundCertifiedDevID: toBase64(boundCertification.attest),
          BoundCertificationSignature: toBase64(boundCertification.signature),
        }),
  });
}

/** @throws SpiffeError as {@link decodeDevidPayload} */
export function decodeDevidResponse(bytes: Uint8Array): DevidResponse {
  const fields = decode(bytes, 'response');
  const field = (name: string, max: number) => bytesIn(fields[name], name, 'response', max);
  const response = {
    devidSignature: field('DevID', MAX_BYTES.signature),
    secret: field('CredActivation', MAX_BYTES.nonce),
  };
  if (isAbsent(fields.BoundCertifiedDevID)) return response;
  const attest = field('BoundCertifiedDevID', MAX_BYTES.attest);
  const signature = field('BoundCertificationSignature', MAX_BYTES.signature);
  return { ...response, boundCertification: { attest, signature } };
}

function encode(fields: Fields): Uint8Array {
  return new Uint8Array(Buffer.from(JSON.stringify(fields), 'utf8'));
}

function decode(bytes: Uint8Array, kind: Kind): Fields {
  const max = MAX_MESSAGE_BYTES[kind];
  requireCheck('F42', bytes.length <= max, `the ${kind} has ${bytes.length} bytes, at most ${max} are read`);
  let fields: unknown;
  try {
    fields = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw invalid(kind, 'is no JSON text: is it another attestor’s?', cause);
  }
  if (!isObject(fields)) throw invalid(kind, 'is no JSON object');
  return fields;
}

/** Standard base64 with padding, in its one canonical form. */
function bytesIn(value: unknown, name: string, kind: Kind, max: number): Uint8Array {
  if (isAbsent(value)) throw invalid(kind, `has no "${name}"`);
  if (typeof value !== 'string') throw invalid(kind, `has something other than text in "${name}"`);
  const bytes = Buffer.from(value, 'base64');
  if (bytes.toString('base64') !== value) throw invalid(kind, `has no base64 in "${name}"`);
  if (bytes.length > max) throw invalid(kind, `has ${bytes.length} bytes in "${name}", at most ${max} are read`);
  return new Uint8Array(bytes);
}

/** What Go writes for bytes that it does not have. */
const isAbsent = (value: unknown): boolean => value === undefined || value === null || value === '';

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

function invalid(kind: Kind, what: string, cause?: unknown): SpiffeError {
  return new SpiffeError('TPM_DATA_INVALID', `the tpm_devid ${kind} ${what}`, { cause });
}
