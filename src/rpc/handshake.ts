import { SpiffeError } from '../spiffe/error.ts';
import { quoteText } from '../spiffe/quote-text.ts';

/** What a plugin says on the first line of its standard output, once its socket listens. */
export interface Handshake {
  /** Of go-plugin itself. */
  readonly coreVersion: number;
  /** Of the application: the highest that both sides know. */
  readonly protocolVersion: number;
  readonly network: 'unix' | 'tcp';
  /** Absolute path of a socket, or host and port. */
  readonly address: string;
  /** `grpc`; a plugin of net/rpc days says `netrpc`, or nothing at all. */
  readonly protocol: string;
  /** DER of the plugin's one-time certificate, under AutoMTLS. */
  readonly certificate?: Uint8Array;
  /** Whether brokered connections share one socket; absent where the host did not ask. */
  readonly multiplexed?: boolean;
}

/** Longest line taken; one with a P-521 certificate has about 830 bytes. */
export const MAX_HANDSHAKE_BYTES = 16 * 1024;

/** A certificate field up to here is no certificate, as go-plugin's host sees it. */
const MAX_IGNORED_CERTIFICATE_FIELD = 50;

/**
 * Parses `CORE|APP|NETWORK|ADDRESS[|PROTOCOL[|SERVERCERT[|MUX]]]`, with or without its line feed.
 *
 * @throws SpiffeError `PLUGIN_PROTOCOL`, naming the field that is wrong.
 */
export function parseHandshake(line: string): Handshake {
  if (Buffer.byteLength(line) > MAX_HANDSHAKE_BYTES) {
    throw new SpiffeError('PLUGIN_PROTOCOL', `handshake line is longer than ${MAX_HANDSHAKE_BYTES} bytes`);
  }
  const text = line.trim();
  const [core, app, network, address, protocol, certificate, multiplexed, ...rest] = text.split('|');
  if (core === undefined || app === undefined || network === undefined || address === undefined || rest.length > 0) {
    throw new SpiffeError(
      'PLUGIN_PROTOCOL',
      `first line on stdout is not a handshake of 4 to 7 fields between "|": ${quoteText(text)}`,
    );
  }
  if (network !== 'unix' && network !== 'tcp') {
    throw new SpiffeError('PLUGIN_PROTOCOL', `handshake names the network ${quoteText(network)}, not "unix" or "tcp"`);
  }
  if (address === '') throw new SpiffeError('PLUGIN_PROTOCOL', 'handshake has an empty address');
  return {
    coreVersion: parseVersion(core, 'core protocol version'),
    protocolVersion: parseVersion(app, 'application protocol version'),
    network,
    address,
    protocol: protocol === undefined || protocol === '' ? 'netrpc' : protocol,
    ...(certificate === undefined || certificate.length <= MAX_IGNORED_CERTIFICATE_FIELD
      ? {}
      : { certificate: parseCertificateField(certificate) }),
    ...(multiplexed === undefined ? {} : { multiplexed: parseMultiplexed(multiplexed) }),
  };
}

/** The line without its line feed; the certificate in base64 without padding. */
export function formatHandshake(handshake: Handshake): string {
  const { coreVersion, protocolVersion, network, address, protocol, certificate, multiplexed } = handshake;
  const certificateField = certificate === undefined ? '' : encodeCertificateField(certificate);
  const fields = [coreVersion, protocolVersion, network, address, protocol, certificateField];
  return (multiplexed === undefined ? fields : [...fields, multiplexed]).join('|');
}

function encodeCertificateField(der: Uint8Array): string {
  return Buffer.from(der).toString('base64').replaceAll('=', '');
}

function parseCertificateField(text: string): Uint8Array {
  if (!/^[A-Za-z0-9+/]+$/.test(text)) {
    throw new SpiffeError('PLUGIN_PROTOCOL', 'handshake has a certificate that is not base64 without padding');
  }
  return new Uint8Array(Buffer.from(text, 'base64'));
}

function parseVersion(text: string, what: string): number {
  if (!/^[0-9]{1,9}$/.test(text)) {
    throw new SpiffeError('PLUGIN_PROTOCOL', `handshake has the ${what} ${quoteText(text)}, which is not a number`);
  }
  return Number(text);
}

function parseMultiplexed(text: string): boolean {
  if (text === 'true') return true;
  if (text === 'false') return false;
  throw new SpiffeError('PLUGIN_PROTOCOL', `handshake says ${quoteText(text)} of multiplexing, not "true" or "false"`);
}
