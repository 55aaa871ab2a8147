import type { Readable } from 'node:stream';

const ACCESSES = ['read', 'write', 'create', 'remove', 'change', 'execute', 'connect', 'bind'] as const;
/** What is done at a path. */
export type Access = (typeof ACCESSES)[number];

const KINDS = ['file', 'folder', 'socket', 'pipe', 'none', 'refused'] as const;
/** What was there when it was asked for; `refused`: the plugin's user may not. */
export type PathKind = (typeof KINDS)[number];

/** One thing that a plugin did, or tried to. */
export type Sighting =
  | { readonly what: 'path'; readonly access: Access; readonly kind: PathKind; readonly path: string }
  | { readonly what: 'device'; readonly access: Access; readonly path: string }
  /** More names of a folder than are told apart. */
  | { readonly what: 'many'; readonly access: Access; readonly path: string }
  | { readonly what: 'abstract'; readonly access: Access; readonly name: string }
  | { readonly what: 'address'; readonly access: Access; readonly ip: string; readonly port: number }
  /** Numbers, as socket(2) takes them. */
  | { readonly what: 'socket'; readonly family: number; readonly type: number }
  | { readonly what: 'call'; readonly name: string }
  /** `/proc/*` and more, of a process that is not the plugin's. */
  | { readonly what: 'processes'; readonly path: string }
  /** A call whose arguments could not be read. */
  | { readonly what: 'unseen'; readonly name: string };

/** The most that there was at a time; a short moment may have been missed. */
export interface Peaks {
  /** Threads too, of all processes. */
  readonly processes: number;
  /** Of one process. */
  readonly files: number;
  /** What one process maps for writing. */
  readonly memoryBytes: number;
}

export interface Observation {
  readonly sightings: readonly Sighting[];
  readonly peaks: Peaks;
  /** False where there was more than is written down. */
  readonly isComplete: boolean;
}

/** What the launcher writes is far below; see `native/sandbox/sightings.h`. */
const MAX_BYTES = 4 * 1024 * 1024;

/** Reads all that the launcher writes, until it has ended. Lines that are none are passed over, and make it incomplete. */
export async function readObservation(stream: Readable): Promise<Observation> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of stream) {
      const buffer = Buffer.from(chunk);
      bytes += buffer.length;
      if (bytes <= MAX_BYTES) chunks.push(buffer);
    }
  } catch {
    // the launcher was killed: what came before counts
  }
  return parseObservation(Buffer.concat(chunks).toString('latin1'), bytes <= MAX_BYTES);
}

function parseObservation(text: string, isWhole: boolean): Observation {
  const lines = text.split('\n');
  const rest = lines.pop();
  const sightings: Sighting[] = [];
  const peaks = { processes: 0, files: 0, memoryBytes: 0 };
  let isComplete = isWhole && rest === '';
  for (const line of lines) {
    const [, name, digits] = /^peak (processes|files|memory) (\d{1,15})$/.exec(line) ?? [];
    if (name !== undefined) {
      const key = name === 'processes' || name === 'files' ? name : 'memoryBytes';
      peaks[key] = Math.max(peaks[key], Number(digits));
      continue;
    }
    const sighting = parseSighting(line.split(' '));
    if (sighting === undefined) isComplete = false;
    else sightings.push(sighting);
  }
  return { sightings, peaks, isComplete };
}

/** @returns undefined for what is no such line, `cut` among them */
function parseSighting([what, ...words]: readonly string[]): Sighting | undefined {
  const [first = '', second = '', third = '', fourth = ''] = words;
  const access = ACCESSES.find((known) => known === first);
  const kind = KINDS.find((known) => known === second);
  switch (what) {
    case 'path':
      if (access === undefined || kind === undefined || words.length !== 3) return undefined;
      return withPath(third, (path) => ({ what, access, kind, path }));
    case 'device':
      if (access === undefined || words.length !== 4) return undefined;
      return withPath(fourth, (path) => ({ what, access, path }));
    case 'many':
      if (access === undefined || words.length !== 2) return undefined;
      return withPath(second, (path) => ({ what, access, path }));
    case 'abstract':
      return access && words.length === 2 ? { what, access, name: decodeWord(second) ?? '?' } : undefined;
    case 'address':
      if (access === undefined || words.length !== 3 || !/^[0-9a-f.:]+$/.test(second)) return undefined;
      return /^\d{1,5}$/.test(third) ? { what, access, ip: second, port: Number(third) } : undefined;
    case 'socket':
      if (words.length !== 2 || !words.every((word) => /^\d{1,9}$/.test(word))) return undefined;
      return { what, family: Number(first), type: Number(second) };
    case 'call':
    case 'unseen':
      return words.length === 1 && /^[a-z0-9_-]+$/.test(first) ? { what, name: first } : undefined;
    case 'processes':
      return words.length === 1 ? withPath(first, (path) => ({ what, path })) : undefined;
    default:
      return undefined;
  }
}

function withPath(word: string, make: (path: string) => Sighting): Sighting | undefined {
  const path = decodeWord(word);
  return path?.startsWith('/') ? make(path) : undefined;
}

/** Undefined for a name that is not UTF-8: no configuration could hold it. */
function decodeWord(word: string): string | undefined {
  const bytes = Buffer.from(
    word.replace(/%([0-9a-f]{2})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16))),
    'latin1',
  );
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
