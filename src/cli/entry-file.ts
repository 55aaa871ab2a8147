import { findNearest } from '../config/suggest.ts';
import { Entry } from '../gen/spire/api/types/types.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { requireValidSelector, type Selector } from '../spiffe/selector.ts';
import { parseTrustDomain } from '../spiffe/trust-domain.ts';
import { parseApiId } from './api-ids.ts';
import { JsonFields } from './json-fields.ts';
import { isObject, parseJsonObject, readInputFile } from './read-input-file.ts';
import type { Terminal } from './terminal.ts';

const KEYS = [
  ...['entry_id', 'spiffe_id', 'parent_id', 'selectors', 'x509_svid_ttl', 'jwt_svid_ttl', 'federates_with', 'admin'],
  ...['downstream', 'store_svid', 'entryExpiry', 'dns_names', 'hint', 'revision_number', 'created_at'],
  'additional_attributes',
];

/** An int32 of the API. */
const MAX_TTL_SECONDS = 2 ** 31 - 1;

/**
 * Reads the entries of a file as SPIRE takes them for `-data`: `{"entries": [{"spiffe_id": …, "parent_id": …,
 * "selectors": [{"type": …, "value": …}], …}]}`. Keys in any case; one that is not known is told and passed over.
 *
 * @param path `-` for standard input
 * @throws SpiffeError naming the entry and the key
 */
export async function readEntryFile(path: string, terminal: Terminal): Promise<readonly Entry[]> {
  const source = path === '-' ? 'standard input' : `"${path}"`;
  const fields = new JsonFields(parseJsonObject(await readInputFile(path, terminal), source), source);
  const entries = fields.list('entries');
  if (entries.length === 0) throw new SpiffeError('ARGUMENT_INVALID', `${source} has no "entries"`);
  return entries.map((value, index) =>
    toEntry(value, `${source}: entries[${index}]`, (warning) => terminal.printError(`Warning: ${warning}\n`)),
  );
}

/**
 * An entry as SPIRE takes it for `-data`.
 *
 * @param where it stands, for messages
 * @param warn hears of each key that is not known and has no effect
 * @throws SpiffeError naming the key
 */
export function toEntry(value: unknown, where: string, warn: (warning: string) => void): Entry {
  if (!isObject(value)) throw new SpiffeError('ARGUMENT_INVALID', `${where} is no JSON object`);
  warnOfUnknownKeys(value, where, warn);
  return readEntry(new JsonFields(value, where), where);
}

function readEntry(fields: JsonFields, where: string): Entry {
  const attributes = fields.object('additional_attributes');
  const entry = Entry.create({
    id: fields.text('entry_id'),
    spiffeId: parseApiId(fields.text('spiffe_id'), `${where}: spiffe_id`),
    parentId: parseApiId(fields.text('parent_id'), `${where}: parent_id`),
    selectors: fields.list('selectors').map((value, index) => toSelector(value, `${where}: selectors[${index}]`)),
    x509SvidTtl: fields.wholeNumber('x509_svid_ttl', MAX_TTL_SECONDS),
    jwtSvidTtl: fields.wholeNumber('jwt_svid_ttl', MAX_TTL_SECONDS),
    federatesWith: fields.texts('federates_with').map((trustDomain) => parseTrustDomain(trustDomain)),
    admin: fields.boolean('admin'),
    downstream: fields.boolean('downstream'),
    storeSvid: fields.boolean('store_svid'),
    expiresAt: BigInt(fields.wholeNumber('entryExpiry', Number.MAX_SAFE_INTEGER)),
    dnsNames: [...fields.texts('dns_names')],
    hint: fields.text('hint'),
  });
  if (attributes === undefined) return entry;
  const additionalAttributes = {
    disableX509SvidPrefetch: attributes.boolean('disable_x509_svid_prefetch'),
    jwtSvidIncludeJti: attributes.boolean('jwt_svid_include_jti'),
  };
  return { ...entry, additionalAttributes };
}

function toSelector(value: unknown, where: string): Selector {
  if (!isObject(value)) throw new SpiffeError('ARGUMENT_INVALID', `${where} is no JSON object`);
  const fields = new JsonFields(value, where);
  const selector = { type: fields.text('type'), value: fields.text('value') };
  try {
    requireValidSelector(selector);
  } catch (cause) {
    if (!(cause instanceof SpiffeError)) throw cause;
    throw new SpiffeError(cause.code, `${where}: ${cause.message}`, { cause });
  }
  return selector;
}

function warnOfUnknownKeys(value: object, where: string, warn: (warning: string) => void): void {
  const known = KEYS.map((key) => key.toLowerCase());
  for (const key of Object.keys(value).filter((name) => !known.includes(name.toLowerCase()))) {
    const nearest = findNearest(key, KEYS);
    const advice = nearest === undefined ? '' : `, did you mean "${nearest}"?`;
    warn(`${where}: the key ${JSON.stringify(key)} is not known and has no effect${advice}`);
  }
}
