/** A set of field numbers: bit n is field n. */
export type KeptFields = number;

/** @param numbers from 1 to 30 */
export const fieldsOf = (numbers: readonly number[]): KeptFields =>
  numbers.reduce((kept, number) => kept | (1 << number), 0);

const VARINT = 0;
const LENGTH_DELIMITED = 2;

/**
 * Leaves out the other fields of a message that we encoded, a character a byte, with fields up to 30.
 *
 * @see Protocol Buffers, "Encoding": only varints and what has a length are met here
 */
export function keepFields(message: string, kept: KeptFields): string {
  let text = '';
  let from = 0;
  let position = 0;
  const readVarint = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const octet = message.charCodeAt(position++);
      value += (octet & 0x7f) * 2 ** shift;
      if (!(octet >= 0x80)) return value;
    }
  };
  while (position < message.length) {
    const start = position;
    const tag = readVarint();
    const wireType = tag & 7;
    const value = readVarint();
    if (wireType === LENGTH_DELIMITED) position += value;
    else if (wireType !== VARINT) throw new Error(`wire type ${wireType} is none that an entry has`);
    if ((kept & (1 << (tag >>> 3))) !== 0) continue;
    text += message.slice(from, start);
    from = position;
  }
  return from === 0 ? message : text + message.slice(from);
}

const SHORT = Array.from({ length: 128 }, (_, value) => String.fromCharCode(value));

/** @param value a whole number below 2³¹ */
export function varint(value: number): string {
  if (value < 0x80) return SHORT[value] ?? '';
  return String.fromCharCode((value & 0x7f) | 0x80) + varint(value >>> 7);
}
