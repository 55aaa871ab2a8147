import { type ClientAddress, usualForm } from './network-address.ts';
import { invalidHeader, type ProxyHeader } from './proxy-header.ts';

const SIGNATURE = Buffer.of(0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a);
/** Signature, command, family, length. */
const FIXED_BYTES = 16;
/** What follows them: 65,535 could, and a client's certificate with a few more TLVs is less than this. As in SPIRE. */
const MAX_REST_BYTES = 4096;
const LOCAL = 0x20;
const PROXY = 0x21;
/** Type, and length of 16 bits. */
const TLV_HEAD_BYTES = 3;

/** @see HAProxy's proxy-protocol.txt, §2.2 */
export function parseProxyHeaderV2(bytes: Uint8Array): ProxyHeader | undefined {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const known = Math.min(head.length, SIGNATURE.length);
  if (!head.subarray(0, known).equals(SIGNATURE.subarray(0, known))) throw invalidHeader('has a wrong signature');
  if (head.length < FIXED_BYTES) return undefined;
  const command = head.readUInt8(12);
  if (command !== LOCAL && command !== PROXY) throw invalidHeader(`has an unknown version or command ${hex(command)}`);
  const restBytes = head.readUInt16BE(14);
  if (restBytes > MAX_REST_BYTES) throw invalidHeader(`is longer than ${FIXED_BYTES + MAX_REST_BYTES} bytes`);
  const length = FIXED_BYTES + restBytes;
  if (head.length < length) return undefined;
  if (command === LOCAL) return { length }; // a check of the proxy's own; whatever follows is to be ignored
  return { length, client: clientOf(head.readUInt8(13), head.subarray(FIXED_BYTES, length)) };
}

/** Bytes of an address, of a family over TCP. Others are no client that a TLS connection could have. */
const ADDRESS_BYTES: ReadonlyMap<number, number> = new Map([
  [0x11, 4],
  [0x21, 16],
]);

/** Two addresses, two ports, TLVs. */
function clientOf(family: number, rest: Buffer): ClientAddress {
  const size = ADDRESS_BYTES.get(family);
  if (size === undefined) throw invalidHeader(`is for neither TCP over IPv4 nor TCP over IPv6: ${hex(family)}`);
  const portsAt = 2 * size;
  if (rest.length < portsAt + 4) throw invalidHeader('is too short for its addresses');
  requireTlvs(rest.subarray(portsAt + 4));
  return { address: addressOf(rest.subarray(0, size)), port: rest.readUInt16BE(portsAt) };
}

function addressOf(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(2 * index).toString(16));
  return usualForm(groups.join(':'));
}

/** What they say is not needed; that they fill the header, it tells of one that is whole. */
function requireTlvs(tlvs: Buffer): void {
  let at = 0;
  while (at < tlvs.length) {
    if (at + TLV_HEAD_BYTES > tlvs.length) throw invalidHeader('ends within a TLV');
    at += TLV_HEAD_BYTES + tlvs.readUInt16BE(at + 1);
  }
  if (at !== tlvs.length) throw invalidHeader('ends within a TLV');
}

function hex(byte: number): string {
  return `0x${byte.toString(16).padStart(2, '0')}`;
}
