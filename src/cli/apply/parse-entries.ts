import { type Document, isMap, isNode, isSeq, LineCounter, type Node, parseAllDocuments } from 'yaml';
import type { Entry } from '../../gen/spire/api/types/types.ts';
import { messageOf, SpiffeError } from '../../spiffe/error.ts';
import { toEntry } from '../entry-file.ts';
import { isObject } from '../read-input-file.ts';

/** An entry and where it stands. */
export interface LocatedEntry {
  readonly entry: Entry;
  /** `FILE:LINE: entry N (SPIFFE ID)`. */
  readonly where: string;
}

/** An alias may be used so often, and stands for so much: a file that grows when it is read is refused. */
const MAX_ALIASES = 100;
const MAX_ENTRIES = 50_000;

/**
 * Reads entries from YAML or JSON: documents that are `{entries: [...]}`, a list of entries, or one entry each. Keys as SPIRE has
 * them for `-data`; a selector may also be the text `type:value`.
 *
 * @throws SpiffeError with a line for each mistake, naming file, line and entry
 */
export function parseEntries(text: string, file: string): readonly LocatedEntry[] {
  const lines = new LineCounter();
  const documents = readDocuments(text, file, lines);
  const mistakes: string[] = [];
  const found: LocatedEntry[] = [];
  for (const document of documents) {
    for (const error of document.errors)
      mistakes.push(`${file}:${lines.linePos(error.pos[0]).line}: ${firstLine(error.message)}`);
    if (document.errors.length > 0 || document.contents === null) continue;
    for (const { node, value } of entriesOf(document, file, lines)) {
      if (found.length >= MAX_ENTRIES)
        throw new SpiffeError('TOO_LARGE', `${file} has more than ${MAX_ENTRIES} entries`);
      const line = lineOf(node, lines) ?? lineOf(document.contents, lines) ?? 1;
      const where = `${file}:${line}: entry ${found.length + 1}${nameOf(value)}`;
      try {
        const refuse = (warning: string) => {
          throw new SpiffeError('ARGUMENT_INVALID', warning.replace(' and has no effect', ''));
        };
        found.push({ where, entry: toEntry(withSelectorObjects(value), where, refuse) });
      } catch (error) {
        if (!(error instanceof SpiffeError)) throw error;
        mistakes.push(error.message);
      }
    }
  }
  if (mistakes.length > 0) throw new SpiffeError('ARGUMENT_INVALID', mistakes.slice(0, MAX_MISTAKES).join('\n'));
  return found;
}

const MAX_MISTAKES = 100;

function readDocuments(text: string, file: string, lineCounter: LineCounter): readonly Document.Parsed[] {
  try {
    const documents = parseAllDocuments(text, {
      lineCounter,
      prettyErrors: false,
      uniqueKeys: true,
      logLevel: 'silent',
    });
    return 'empty' in documents ? [] : documents;
  } catch (cause) {
    throw new SpiffeError('ARGUMENT_INVALID', `${file} cannot be read: ${faultOf(cause)}`, { cause });
  }
}

/** Each entry of a document with the node that it came from, where it has one. */
function entriesOf(
  document: Document.Parsed,
  file: string,
  lines: LineCounter,
): readonly { readonly node: unknown; readonly value: unknown }[] {
  const { contents } = document;
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (cause) {
    throw new SpiffeError('ARGUMENT_INVALID', `${file}:${lineOf(contents, lines) ?? 1}: ${faultOf(cause)}`, {
      cause,
    });
  }
  const listNode = isMap(contents) ? contents.get('entries', true) : contents;
  const list = isObject(value) && 'entries' in value ? value.entries : value;
  if (Array.isArray(list)) {
    return list.map((item: unknown, index) => ({
      value: item,
      node: isSeq(listNode) ? listNode.items[index] : undefined,
    }));
  }
  if (isObject(list) && list === value) return [{ value: list, node: contents }];
  throw new SpiffeError(
    'ARGUMENT_INVALID',
    `${file}:${lineOf(contents, lines) ?? 1}: neither an entry nor a list of entries`,
  );
}

function lineOf(node: unknown, lines: LineCounter): number | undefined {
  if (!isNode(node)) return undefined;
  const [start] = (node as Node).range ?? [];
  return start === undefined ? undefined : lines.linePos(start).line;
}

function nameOf(value: unknown): string {
  if (!isObject(value) || typeof value.spiffe_id !== 'string') return '';
  return ` (${value.spiffe_id.slice(0, 200)})`;
}

/** `unix:uid:0` → `{type: unix, value: uid:0}`. */
function withSelectorObjects(value: unknown): unknown {
  if (!isObject(value) || !Array.isArray(value.selectors)) return value;
  const selectors = value.selectors.map((selector: unknown) => {
    if (typeof selector !== 'string') return selector;
    const colon = selector.indexOf(':');
    return colon === -1 ? { type: selector } : { type: selector.slice(0, colon), value: selector.slice(colon + 1) };
  });
  return { ...value, selectors };
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}

function faultOf(cause: unknown): string {
  if (cause instanceof RangeError) return 'lists and maps are too deep within each other';
  return firstLine(messageOf(cause));
}
