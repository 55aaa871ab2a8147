import { derInvalid, Tag, tlv } from './der.ts';

const MAX_DEPTH = 24;
const CONSTRUCTED = 0x20;
const CONSTRUCTED_OCTET_STRING = Tag.octetString | CONSTRUCTED;
const END_OF_CONTENTS = 0x00;

/**
 * Reads one value in BER, and writes it as DER would have it: definite lengths in as few octets as possible, OCTET STRINGs in
 * one piece. Values of other types stay as they are, to be refused by whoever reads them as DER.
 *
 * @param maxLength octets; longer input is refused before it is looked at
 * @throws SpiffeError `DER_INVALID`
 * @see X.690 §8.1.3.6 (indefinite lengths), §8.7.3 (OCTET STRINGs in pieces)
 */
export function berToDer(ber: Uint8Array, what: string, maxLength: number): Uint8Array {
  if (ber.length > maxLength) derInvalid(`${what} has ${ber.length} octets, more than ${maxLength}`);
  const reader = new BerReader(ber, what);
  const der = reader.readElement(0);
  reader.requireEnd();
  return der;
}

class BerReader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #offset = 0;

  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  /** @returns DER */
  readElement(depth: number, end = this.#bytes.length): Uint8Array {
    if (depth > MAX_DEPTH) derInvalid(`${this.#what} is nested deeper than ${MAX_DEPTH}`);
    const tag = this.#readOctet(end);
    if ((tag & 0x1f) === 0x1f) derInvalid(`${this.#what} has a tag number of several octets`);
    const isConstructed = (tag & CONSTRUCTED) !== 0;
    const length = this.#readLength(end);
    if (length === undefined && !isConstructed) {
      derInvalid(`${this.#what} has an indefinite length where no elements follow`);
    }
    const contentEnd = length === undefined ? end : this.#offset + length;
    if (contentEnd > end) derInvalid(`${this.#what} has an element that goes beyond its end`);
    if (!isConstructed) {
      const content = this.#bytes.subarray(this.#offset, contentEnd);
      this.#offset = contentEnd;
      return tlv(tag, content);
    }
    const elements = this.#readElements(depth + 1, contentEnd, length === undefined);
    return tag === CONSTRUCTED_OCTET_STRING ? joined(elements, this.#what) : tlv(tag, ...elements);
  }

  requireEnd(): void {
    const left = this.#bytes.length - this.#offset;
    if (left !== 0) derInvalid(`${left} octets follow the end of ${this.#what}`);
  }

  #readElements(depth: number, end: number, isIndefinite: boolean): readonly Uint8Array[] {
    const elements: Uint8Array[] = [];
    for (;;) {
      if (!isIndefinite && this.#offset === end) return elements;
      if (isIndefinite && this.#bytes[this.#offset] === END_OF_CONTENTS && this.#offset < end) {
        this.#offset++;
        if (this.#readOctet(end) !== 0) derInvalid(`${this.#what} has an end of contents that is not empty`);
        return elements;
      }
      elements.push(this.readElement(depth, end));
    }
  }

  /** @returns undefined for an indefinite one */
  #readLength(end: number): number | undefined {
    const first = this.#readOctet(end);
    if (first < 0x80) return first;
    if (first === 0x80) return undefined;
    const count = first & 0x7f;
    if (count > 3) derInvalid(`${this.#what} has a length of ${count} octets, more than 3`);
    let length = 0;
    for (let index = 0; index < count; index++) length = (length << 8) | this.#readOctet(end);
    return length;
  }

  #readOctet(end: number): number {
    const octet = this.#offset < end ? this.#bytes[this.#offset] : undefined;
    if (octet === undefined) return derInvalid(`${this.#what} ends inside an element`);
    this.#offset++;
    return octet;
  }
}

/** @param pieces DER */
function joined(pieces: readonly Uint8Array[], what: string): Uint8Array {
  const contents = pieces.map((piece) => {
    if (piece[0] !== Tag.octetString) derInvalid(`${what} has an OCTET STRING with a piece of another type`);
    const first = piece[1] ?? 0;
    return piece.subarray(first < 0x80 ? 2 : 2 + (first & 0x7f));
  });
  return tlv(Tag.octetString, ...contents);
}
