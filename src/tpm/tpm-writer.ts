import { SpiffeError } from '../spiffe/error.ts';

/** Big-endian, as every number in a TPM structure. */
export function u8(value: number): Uint8Array {
  return Uint8Array.of(value);
}

export function u16(value: number): Uint8Array {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

export function u32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function u64(value: bigint): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}

/** A TPM2B: a u16 length and the bytes. */
export function sized(...parts: readonly Uint8Array[]): Uint8Array {
  const content = concat(...parts);
  if (content.length > 0xffff) {
    throw new SpiffeError(
      'TPM_DATA_INVALID',
      `${content.length} bytes do not fit into a TPM2B, which holds at most 65535`,
    );
  }
  return concat(u16(content.length), content);
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
