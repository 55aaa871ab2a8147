import { randomBytes } from 'node:crypto';

/** A positive serial number of 20 octets, 158 bits of it random. Source: RFC 5280 §4.1.2.2. */
export function randomSerialNumber(): Uint8Array {
  const bytes = randomBytes(20);
  bytes[0] = (bytes.readUInt8(0) & 0x3f) | 0x40;
  return bytes;
}

/** As the datastore and SPIRE's API write it: decimal. */
export function decimalSerialNumber(serialNumber: Uint8Array): string {
  return BigInt(`0x${Buffer.from(serialNumber).toString('hex') || '0'}`).toString();
}
