import { SpiffeError } from '../spiffe/error.ts';

/** Identifier octets, one octet each: X.690 §8.1.2, with the constructed bit of §8.1.2.5 where the type has it. */
export const Tag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  numericString: 0x12,
  printableString: 0x13,
  teletexString: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  visibleString: 0x1a,
  universalString: 0x1c,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const;

/** `[number]` around another element: EXPLICIT, or IMPLICIT over a SEQUENCE or SET. */
export const constructedContext = (number: number): number => 0xa0 | number;
/** `[number]` IMPLICIT over a primitive type. */
export const primitiveContext = (number: number): number => 0x80 | number;

/** What {@link parseDer} takes where the caller gives no limit of its own. */
export const MAX_DER_LENGTH = 64 * 1024;
const MAX_DEPTH = 24;
const MAX_OID_LENGTH = 128;

export interface DerElement {
  readonly tag: number;
  readonly content: Uint8Array;
  /** Identifier, length and content octets. */
  readonly der: Uint8Array;
}

export interface BitString {
  readonly unusedBits: number;
  readonly bytes: Uint8Array;
}

export function derInvalid(message: string): never {
  throw new SpiffeError('DER_INVALID', message);
}

const hexOctet = (octet: number): string => `0x${octet.toString(16).padStart(2, '0')}`;

/**
 * Walks the elements of one DER constructed value, in order. `what` names the field in errors.
 * Everything it returns is a view of the bytes it was given.
 *
 * @throws SpiffeError `DER_INVALID`
 * @see X.690 §8.1, §10.1: definite lengths in as few octets as possible
 */
export class DerReader {
  readonly #bytes: Uint8Array;
  readonly #depth: number;
  #offset = 0;

  constructor(bytes: Uint8Array, depth = 0) {
    if (depth > MAX_DEPTH) derInvalid(`DER nested deeper than ${MAX_DEPTH}`);
    this.#bytes = bytes;
    this.#depth = depth;
  }

  get isAtEnd(): boolean {
    return this.#offset === this.#bytes.length;
  }

  /** The identifier octet of the next element, `undefined` at the end. */
  peekTag(): number | undefined {
    return this.#bytes[this.#offset];
  }

  readElement(what = 'an element'): DerElement {
    const bytes = this.#bytes;
    const start = this.#offset;
    const tag = bytes[start];
    const first = bytes[start + 1];
    if (tag === undefined || first === undefined) return derInvalid(`DER ends where ${what} should begin`);
    if ((tag & 0x1f) === 0x1f) derInvalid(`${what} has a tag number of several octets`);
    let position = start + 2;
    let length = first;
    if (first >= 0x80) {
      const count = first & 0x7f;
      if (count === 0) derInvalid(`${what} has an indefinite length, which DER excludes`);
      if (count > 3) derInvalid(`the length of ${what} takes ${count} octets, more than 3`);
      length = 0;
      for (let index = 0; index < count; index++) {
        const octet = bytes[position++];
        if (octet === undefined) return derInvalid(`DER ends inside the length of ${what}`);
        length = (length << 8) | octet;
      }
      if (length < 0x80 || length >>> (8 * (count - 1)) === 0) derInvalid(`the length of ${what} is not minimal`);
    }
    const end = position + length;
    if (end > bytes.length) derInvalid(`${what} has ${length} octets, ${bytes.length - position} are left`);
    this.#offset = end;
    return { tag, content: bytes.subarray(position, end), der: bytes.subarray(start, end) };
  }

  /** @returns the content octets. */
  read(tag: number, what: string): Uint8Array {
    return this.#expect(tag, what).content;
  }

  /** @returns the whole element. */
  readRaw(tag: number, what: string): Uint8Array {
    return this.#expect(tag, what).der;
  }

  /** The content octets of the next element if it has this tag; otherwise nothing is consumed. */
  readOptional(tag: number, what: string): Uint8Array | undefined {
    return this.peekTag() === tag ? this.readElement(what).content : undefined;
  }

  /** A reader over the content of the next element. */
  enter(tag: number, what: string): DerReader {
    return new DerReader(this.read(tag, what), this.#depth + 1);
  }

  enterOptional(tag: number, what: string): DerReader | undefined {
    return this.peekTag() === tag ? this.enter(tag, what) : undefined;
  }

  /** A reader over `bytes`, which were found inside this one: it counts towards the same depth. */
  nested(bytes: Uint8Array): DerReader {
    return new DerReader(bytes, this.#depth + 1);
  }

  /** BOOLEAN, FALSE if absent. An encoded FALSE passes: deployed issuers write it, against X.690 §11.5. */
  readDefaultFalse(what: string): boolean {
    const content = this.readOptional(Tag.boolean, what);
    return content === undefined ? false : decodeBoolean(content, what);
  }

  /** INTEGER content octets, two's complement, minimal. */
  readInteger(what: string): Uint8Array {
    return requireInteger(this.read(Tag.integer, what), what);
  }

  /** A non-negative INTEGER below 2³¹. */
  readSmallInteger(what: string): number {
    return decodeSmallInteger(this.read(Tag.integer, what), what);
  }

  readBitString(what: string): BitString {
    return decodeBitString(this.read(Tag.bitString, what), what);
  }

  /** A BIT STRING that holds whole octets. */
  readOctetsInBitString(what: string): Uint8Array {
    const { unusedBits, bytes } = this.readBitString(what);
    if (unusedBits !== 0) derInvalid(`${what} is not a whole number of octets`);
    return bytes;
  }

  /** Dotted decimal. */
  readOid(what: string): string {
    return decodeOid(this.read(Tag.oid, what));
  }

  requireEnd(what: string): void {
    const left = this.#bytes.length - this.#offset;
    if (left !== 0) derInvalid(`${left} octets follow the end of ${what}`);
  }

  #expect(tag: number, what: string): DerElement {
    const element = this.readElement(what);
    if (element.tag !== tag) derInvalid(`${what} has tag ${hexOctet(element.tag)}, not ${hexOctet(tag)}`);
    return element;
  }
}

/**
 * Reads exactly one constructed element and all of its content.
 *
 * @param maxLength octets; longer input is refused before it is looked at.
 * @throws SpiffeError `DER_INVALID`, for octets that `read` leaves behind too.
 */
export function parseDer<T>(
  der: Uint8Array,
  tag: number,
  what: string,
  read: (content: DerReader) => T,
  maxLength: number = MAX_DER_LENGTH,
): T {
  if (der.length > maxLength) derInvalid(`${what} has ${der.length} octets, more than ${maxLength}`);
  const outer = new DerReader(der);
  const content = outer.enter(tag, what);
  outer.requireEnd(what);
  const value = read(content);
  content.requireEnd(`the content of ${what}`);
  return value;
}

/** X.690 §8.2, §11.1 */
export function decodeBoolean(content: Uint8Array, what: string): boolean {
  if (content.length !== 1 || (content[0] !== 0x00 && content[0] !== 0xff)) derInvalid(`${what} is no DER BOOLEAN`);
  return content[0] === 0xff;
}

function requireInteger(content: Uint8Array, what: string): Uint8Array {
  const [first, second] = content;
  if (first === undefined) return derInvalid(`${what} is an empty INTEGER`);
  if (second !== undefined && ((first === 0x00 && second < 0x80) || (first === 0xff && second >= 0x80))) {
    derInvalid(`${what} is not a minimal INTEGER`); // X.690 §8.3.2
  }
  return content;
}

function decodeSmallInteger(content: Uint8Array, what: string): number {
  requireInteger(content, what);
  if (content.length > 4 || (content[0] ?? 0) >= 0x80) derInvalid(`${what} is negative or above 2147483647`);
  return content.reduce((value, octet) => value * 256 + octet, 0);
}

/** X.690 §8.6, §11.2.1: unused bits are zero */
export function decodeBitString(content: Uint8Array, what: string): BitString {
  const unusedBits = content[0];
  if (unusedBits === undefined || unusedBits > 7) return derInvalid(`${what} is no BIT STRING`);
  const bytes = content.subarray(1);
  const last = bytes.at(-1);
  if (last === undefined ? unusedBits !== 0 : (last & ((1 << unusedBits) - 1)) !== 0) {
    derInvalid(`${what} has unused bits that are not zero`);
  }
  return { unusedBits, bytes };
}

/** @see X.690 §8.19 */
export function decodeOid(content: Uint8Array): string {
  if (content.length === 0 || content.length > MAX_OID_LENGTH) {
    derInvalid(`an OBJECT IDENTIFIER has ${content.length} octets, not 1 to ${MAX_OID_LENGTH}`);
  }
  let text = '';
  let small = 0;
  let large = 0n;
  let isStart = true;
  for (const octet of content) {
    if (isStart && octet === 0x80) derInvalid('an OBJECT IDENTIFIER has an arc that is not minimal');
    const isLarge = large > 0n || small >= 2 ** 40;
    if (isLarge) {
      large = (large === 0n ? BigInt(small) : large) * 128n + BigInt(octet & 0x7f);
    } else {
      small = small * 128 + (octet & 0x7f);
    }
    isStart = octet < 0x80;
    if (!isStart) continue;
    if (text === '') {
      const root = isLarge ? 2 : Math.min(Math.floor(small / 40), 2);
      text = `${root}.${isLarge ? large - 80n : small - root * 40}`;
    } else {
      text += `.${isLarge ? large : small}`;
    }
    small = 0;
    large = 0n;
  }
  if (!isStart) derInvalid('an OBJECT IDENTIFIER ends inside an arc');
  return text;
}

/** One element from its content, which may come in parts. */
export function tlv(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const lengthOctets = length < 0x80 ? 1 : length < 0x100 ? 2 : length < 0x10000 ? 3 : 4;
  if (length > 0xffffff) derInvalid(`${length} octets are more than one element may have here`);
  const der = new Uint8Array(1 + lengthOctets + length);
  der[0] = tag;
  let offset = 1;
  if (lengthOctets > 1) der[offset++] = 0x7f + lengthOctets;
  for (let shift = 8 * Math.max(lengthOctets - 2, 0); shift >= 0; shift -= 8) der[offset++] = (length >>> shift) & 0xff;
  for (const part of parts) {
    der.set(part, offset);
    offset += part.length;
  }
  return der;
}

export const sequence = (...elements: readonly Uint8Array[]): Uint8Array => tlv(Tag.sequence, ...elements);
/** SET OF: sorted as X.690 §11.6 wants it. */
export const setOf = (...elements: readonly Uint8Array[]): Uint8Array =>
  tlv(Tag.set, ...elements.toSorted((a, b) => Buffer.compare(a, b)));
/** `[number]` EXPLICIT. */
export const explicit = (number: number, element: Uint8Array): Uint8Array => tlv(constructedContext(number), element);
export const octetString = (...parts: readonly Uint8Array[]): Uint8Array => tlv(Tag.octetString, ...parts);
/** BIT STRING of whole octets. */
export const bitString = (bytes: Uint8Array): Uint8Array => tlv(Tag.bitString, NO_UNUSED_BITS, bytes);
export const boolean = (value: boolean): Uint8Array => Uint8Array.of(Tag.boolean, 1, value ? 0xff : 0x00);
export const derNull = (): Uint8Array => Uint8Array.of(Tag.null, 0);
export const utf8String = (text: string): Uint8Array => tlv(Tag.utf8String, Buffer.from(text, 'utf8'));

const NO_UNUSED_BITS = Uint8Array.of(0);

/** INTEGER from a magnitude, big-endian; leading zeros go, the sign octet comes where it must. */
export function unsignedInteger(magnitude: Uint8Array): Uint8Array {
  const start = magnitude.findIndex((octet) => octet !== 0);
  if (start < 0) return Uint8Array.of(Tag.integer, 1, 0);
  const minimal = magnitude.subarray(start);
  return (minimal[0] ?? 0) >= 0x80 ? tlv(Tag.integer, NO_UNUSED_BITS, minimal) : tlv(Tag.integer, minimal);
}

/** OBJECT IDENTIFIER element from dotted decimal. */
export function oid(dotted: string): Uint8Array {
  const arcs = dotted.split('.');
  if (arcs.length < 2 || !arcs.every((arc) => /^(0|[1-9][0-9]*)$/.test(arc))) derInvalid(`"${dotted}" is no OID`);
  const [root = 0n, second = 0n, ...rest] = arcs.map(BigInt);
  if (root > 2n || (root < 2n && second > 39n)) derInvalid(`"${dotted}" is no OID: first arcs out of range`);
  const content = [root * 40n + second, ...rest].flatMap((arc) => {
    const octets = [Number(arc & 0x7fn)];
    for (let left = arc >> 7n; left > 0n; left >>= 7n) octets.unshift(Number(left & 0x7fn) | 0x80);
    return octets;
  });
  if (content.length > MAX_OID_LENGTH) derInvalid(`"${dotted}" has more than ${MAX_OID_LENGTH} octets`);
  return tlv(Tag.oid, Uint8Array.from(content));
}
