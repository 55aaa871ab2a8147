import { compressionError } from './hpack-error.ts';

const EOS = 256;
/** Padding is shorter than a byte. */
const MAX_PADDING_BITS = 7;

/**
 * Bits of the code of each symbol, EOS the last. The code is canonical: codes of one length count up in the order of their
 * symbols, and follow those of the length before.
 *
 * @see RFC 7541, Appendix B
 */
const CODE_BITS: readonly number[] = [
  ...[13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28], // 0x00
  ...[28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28], // 0x10
  ...[6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6], // 0x20
  ...[5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10], // 0x30
  ...[13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7], // 0x40
  ...[7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6], // 0x50
  ...[15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5], // 0x60
  ...[6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28], // 0x70
  ...[20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23], // 0x80
  ...[24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24], // 0x90
  ...[22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23], // 0xa0
  ...[21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23], // 0xb0
  ...[26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25], // 0xc0
  ...[19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27], // 0xd0
  ...[20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23], // 0xe0
  ...[26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26], // 0xf0
  30, // EOS
];

/** The code as a tree: two children a node; a child above zero is a node, one below is the symbol ~child, zero is none. */
const TREE = buildTree();

function buildTree(): Int16Array {
  const tree = new Int16Array(2 * EOS);
  let nodes = 1;
  let code = 0;
  let bits = 0;
  const symbols = Array.from(CODE_BITS.keys());
  for (const symbol of symbols.sort((a, b) => bitsOf(a) - bitsOf(b) || a - b)) {
    code *= 2 ** (bitsOf(symbol) - bits);
    bits = bitsOf(symbol);
    let node = 0;
    for (let bit = bits - 1; bit > 0; bit--) {
      const child = 2 * node + ((code >>> bit) & 1);
      if (tree[child] === 0) tree[child] = nodes++;
      node = tree[child] ?? 0;
    }
    tree[2 * node + (code & 1)] = ~symbol;
    code += 1;
  }
  return tree;
}

function bitsOf(symbol: number): number {
  return CODE_BITS[symbol] ?? 0;
}

/**
 * @returns the text, one character a byte.
 * @throws Http2ConnectionError for EOS, padding that is too long, and padding that is not the beginning of EOS
 * @see RFC 7541 §5.2
 */
export function decodeHuffman(bytes: Uint8Array): string {
  const text = Buffer.allocUnsafe(Math.floor((bytes.length * 8) / 5)); // the shortest code has five bits
  let length = 0;
  let node = 0;
  let pendingBits = 0;
  let pendingAreOnes = true;
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit--) {
      const one = (byte >>> bit) & 1;
      const child = TREE[2 * node + one] ?? 0;
      pendingBits += 1;
      if (one === 0) pendingAreOnes = false;
      if (child >= 0) {
        node = child;
        continue;
      }
      if (~child === EOS) throw compressionError('a Huffman code is EOS');
      text[length++] = ~child;
      node = 0;
      pendingBits = 0;
      pendingAreOnes = true;
    }
  }
  if (pendingBits > MAX_PADDING_BITS || !pendingAreOnes) throw compressionError('a Huffman code has wrong padding');
  return text.toString('latin1', 0, length);
}
