import { type DerElement, derInvalid, Tag } from './der.ts';

/**
 * The text of an ASN.1 string; `undefined` for another type, or octets that the type does not allow.
 * TeletexString is read as ISO 8859-1, as everybody who still writes it means.
 *
 * @see X.690 §8.23; RFC 5280 appendix A.1 (DirectoryString)
 */
export function decodeString({ tag, content }: DerElement): string | undefined {
  switch (tag) {
    case Tag.utf8String:
      return decodeText('utf-8', content);
    case Tag.printableString:
      return decodeLatin1(content, /^[A-Za-z0-9 '()+,\-./:=?*&@_]*$/); // the last four: widely written, X.680 has them not
    case Tag.numericString:
      return decodeLatin1(content, /^[0-9 ]*$/);
    case Tag.ia5String:
      return isAscii(content) ? Buffer.from(content).toString('latin1') : undefined;
    case Tag.visibleString:
      return decodeLatin1(content, /^[ -~]*$/);
    case Tag.teletexString:
      return Buffer.from(content).toString('latin1');
    case Tag.bmpString:
      return content.length % 2 === 0 ? decodeText('utf-16be', content) : undefined;
    default:
      return undefined;
  }
}

function decodeText(encoding: 'utf-8' | 'utf-16be', content: Uint8Array): string | undefined {
  try {
    return new TextDecoder(encoding, { fatal: true, ignoreBOM: true }).decode(content);
  } catch {
    return undefined;
  }
}

function decodeLatin1(content: Uint8Array, allowed: RegExp): string | undefined {
  const text = Buffer.from(content).toString('latin1');
  return allowed.test(text) ? text : undefined;
}

const isAscii = (content: Uint8Array): boolean => content.every((octet) => octet < 0x80);

/** The content of an IA5String that names a host or is a URI: ASCII, no control characters, no space, not empty. */
export function decodeIa5Name(content: Uint8Array, what: string): string {
  if (content.length === 0) derInvalid(`${what} is empty`);
  if (!content.every((octet) => octet > 0x20 && octet < 0x7f)) derInvalid(`${what} holds a character outside ASCII`);
  return Buffer.from(content.buffer, content.byteOffset, content.length).toString('latin1');
}

/** The octets of a name for an IA5String. @throws SpiffeError `DER_INVALID` as {@link decodeIa5Name} */
export function encodeIa5Name(text: string, what: string): Uint8Array {
  if (!/^[!-~]+$/.test(text)) derInvalid(`${what} "${text}" is empty or holds a character outside ASCII`);
  return Buffer.from(text, 'latin1');
}
