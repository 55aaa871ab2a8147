import { generateKeyPairSync, randomBytes, sign, X509Certificate } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { credentials } from '@grpc/grpc-js';
import { SpiffeError } from '../spiffe/error.ts';
import {
  bitString,
  boolean,
  constructedContext,
  explicit,
  octetString,
  oid,
  primitiveContext,
  sequence,
  setOf,
  tlv,
  unsignedInteger,
  utf8String,
} from '../x509/der.ts';
import { encodeTime } from '../x509/der-time.ts';
import { OID } from '../x509/oids.ts';
import { encodePem } from '../x509/pem.ts';
import { type ChannelOptions, RpcChannel } from './channel.ts';

/** A key and its self-signed certificate, for the life of one process. */
export interface OneTimeIdentity {
  /** DER. */
  readonly certificate: Uint8Array;
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

/** The only name in a one-time certificate; what counts is that the certificate is the peer's own. */
const SERVER_NAME = 'localhost';
const SKEW_MS = 30_000;
const LIFETIME_MS = 30 * 365 * 24 * 3_600_000;
const TLS_HANDSHAKE_DEADLINE_MS = 10_000;
/** go-plugin's own has about 700 bytes. */
const MAX_CERTIFICATE_BYTES = 16 * 1024;

export function createOneTimeIdentity(now: Date = new Date()): OneTimeIdentity {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const tbs = tbsCertificate(publicKey.export({ type: 'spki', format: 'der' }), now);
  const signature = sign('sha256', tbs, privateKey);
  const certificate = sequence(tbs, SIGNATURE_ALGORITHM, bitString(signature));
  return {
    certificate,
    certificatePem: encodePem('CERTIFICATE', certificate),
    privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

/** go-plugin's mutual TLS: each end trusts exactly the other's one-time certificate. */
export class AutoMtls {
  readonly #identity: OneTimeIdentity;
  readonly #peerPem: string;

  /** @param peerCertificate DER or PEM. @throws SpiffeError `PLUGIN_PROTOCOL` where it is no certificate. */
  constructor(identity: OneTimeIdentity, peerCertificate: Uint8Array | string) {
    this.#identity = identity;
    this.#peerPem = toPem(peerCertificate);
  }

  /** DER of this end's certificate. */
  get certificate(): Uint8Array {
    return this.#identity.certificate;
  }

  /** What another thread needs to open a channel of its own; a secret. */
  get material(): AutoMtlsMaterial {
    const { certificatePem, privateKeyPem } = this.#identity;
    return { certificatePem, privateKeyPem, peerCertificatePem: this.#peerPem };
  }

  openChannel(path: string, options: ChannelOptions = {}): RpcChannel {
    return openAutoMtlsChannel(path, this.material, options);
  }

  /** Does the handshake on `socket`; a peer that is not the one is cut off without a word to `onSecured`. */
  acceptSocket(socket: Duplex, onSecured: (secured: TLSSocket) => void): void {
    const server: Server = createServer({
      key: this.#identity.privateKeyPem,
      cert: this.#identity.certificatePem,
      ca: [this.#peerPem],
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: 'TLSv1.2',
      ALPNProtocols: ['h2'],
      handshakeTimeout: TLS_HANDSHAKE_DEADLINE_MS,
    });
    server.once('secureConnection', onSecured);
    server.once('tlsClientError', () => socket.destroy());
    socket.on('error', () => socket.destroy());
    server.emit('connection', socket);
  }
}

export interface AutoMtlsMaterial {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
  readonly peerCertificatePem: string;
}

export function openAutoMtlsChannel(
  path: string,
  material: AutoMtlsMaterial,
  options: ChannelOptions = {},
): RpcChannel {
  const channelCredentials = credentials.createSsl(
    Buffer.from(material.peerCertificatePem),
    Buffer.from(material.privateKeyPem),
    Buffer.from(material.certificatePem),
  );
  return RpcChannel.open(`unix:${path}`, channelCredentials, {
    authority: SERVER_NAME,
    ...options,
    grpc: { 'grpc.ssl_target_name_override': SERVER_NAME, ...options.grpc },
  });
}

/** The plugin's end, from what the host put into `PLUGIN_CLIENT_CERT`. */
export async function createAutoMtls(peerCertificatePem: string): Promise<AutoMtls> {
  return new AutoMtls(createOneTimeIdentity(), peerCertificatePem);
}

function toPem(certificate: Uint8Array | string): string {
  if (certificate.length > MAX_CERTIFICATE_BYTES) {
    throw new SpiffeError('PLUGIN_PROTOCOL', `one-time certificate is longer than ${MAX_CERTIFICATE_BYTES} bytes`);
  }
  try {
    return encodePem('CERTIFICATE', new X509Certificate(certificate).raw);
  } catch (cause) {
    throw new SpiffeError('PLUGIN_PROTOCOL', 'what the peer sent as its one-time certificate is none', { cause });
  }
}

const SIGNATURE_ALGORITHM = sequence(oid(OID.ecdsaWithSha256)); // RFC 5758 §3.2: no parameters

/** As go-plugin makes its own, but for P-256. Source: RFC 5280 §4.1. */
function tbsCertificate(subjectPublicKeyInfo: Uint8Array, now: Date): Uint8Array {
  const name = sequence(setOf(sequence(oid(OID.commonName), utf8String(SERVER_NAME))));
  return sequence(
    explicit(0, unsignedInteger(Uint8Array.of(2))), // v3
    unsignedInteger(randomBytes(16)),
    SIGNATURE_ALGORITHM,
    name, // issuer
    sequence(encodeTime(new Date(now.getTime() - SKEW_MS)), encodeTime(new Date(now.getTime() + LIFETIME_MS))),
    name, // subject
    subjectPublicKeyInfo,
    tlv(
      constructedContext(3), // extensions
      sequence(
        // §4.2.1.3: digitalSignature, keyEncipherment, keyAgreement, keyCertSign
        sequence(oid(OID.keyUsage), boolean(true), octetString(Uint8Array.of(0x03, 0x02, 0x02, 0xac))),
        sequence(oid(OID.extKeyUsage), octetString(sequence(oid(OID.clientAuth), oid(OID.serverAuth)))),
        sequence(oid(OID.basicConstraints), boolean(true), octetString(sequence(boolean(true)))), // cA: it is its own root
        sequence(
          oid(OID.subjectAltName),
          octetString(sequence(tlv(primitiveContext(2), Buffer.from(SERVER_NAME)))), // dNSName
        ),
      ),
    ),
  );
}
