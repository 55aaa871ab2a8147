import type { Message, Tamper } from './exchange.ts';

/** One way to change one message, and what it is called. */
export interface Tampering {
  readonly what: string;
  /** The message that is changed. */
  readonly index: number;
  readonly tamper: Tamper;
}

/** Bits of a message that are flipped, one a run, spread over its length. */
const FLIPS = 8;

/** The name of a message, such as `message 2 (answer)`. */
export function nameOf({ index, to }: Message): string {
  if (index === 0) return 'payload';
  return to === 'agent' ? `challenge ${(index + 1) / 2}` : `answer ${index / 2}`;
}

export function flips(message: Message): readonly Tampering[] {
  const { length } = message.bytes;
  const positions = Array.from({ length: FLIPS }, (_, flip) => Math.round((flip * (length - 1)) / (FLIPS - 1)));
  return [...new Set(positions)]
    .filter((position) => position >= 0 && position < length)
    .map((position) => {
      const bit = position % 8;
      return {
        ...of(message, `bit ${bit} of octet ${position} flipped`, (bytes) => [flip(bytes, position, bit)]),
      };
    });
}

export function truncations(message: Message): readonly Tampering[] {
  const { length } = message.bytes;
  const lengths = [...new Set([length - 1, Math.floor(length / 2)])].filter((kept) => kept > 0);
  return lengths.map((kept) => of(message, `cut after ${kept} octets`, (bytes) => [bytes.subarray(0, kept)]));
}

export function emptied(message: Message): readonly Tampering[] {
  return message.bytes.length === 0 ? [] : [of(message, 'emptied', () => [new Uint8Array(0)])];
}

/** @param earlier the same message of an earlier run; one that is the same again tells nothing */
export function replayed(message: Message, earlier: Message): readonly Tampering[] {
  return [of(message, 'replaced by that of an earlier run', () => [earlier.bytes])];
}

/** @param earlier the same message of an earlier run */
export function doubled(message: Message, earlier: Message): readonly Tampering[] {
  return [of(message, 'preceded by that of an earlier run', (bytes) => [earlier.bytes, bytes])];
}

export function missing(message: Message): readonly Tampering[] {
  return [of(message, 'left out', () => [])];
}

function of(message: Message, how: string, change: (bytes: Uint8Array) => readonly Uint8Array[]): Tampering {
  const { index } = message;
  return {
    what: `${nameOf(message)} ${how}`,
    index,
    tamper: (travelling) => (travelling.index === index ? change(travelling.bytes) : [travelling.bytes]),
  };
}

/** Messages differ in length from run to run, so that the octet counts within the message's own. */
function flip(bytes: Uint8Array, position: number, bit: number): Uint8Array {
  const changed = Uint8Array.from(bytes);
  const octet = Math.min(position, changed.length - 1);
  changed[octet] = (changed[octet] ?? 0) ^ (1 << bit);
  return changed;
}
