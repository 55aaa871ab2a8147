import { SpiffeError } from '../spiffe/error.ts';
import { quoteText } from '../spiffe/quote-text.ts';

/** What one message of an attestation is, for errors and for its limit. */
export interface JsonMessageOptions {
  /** Such as `the payload of x509pop`. */
  readonly name: string;
  readonly maxBytes: number;
  /** Where given, others are refused: a message that was changed on the way is noticed. */
  readonly fields?: readonly string[];
}

type Fields = Readonly<Record<string, unknown>>;

/** A message of SPIRE's attestors: a JSON object, bytes in base64, as Go's encoding/json writes it. What is absent may be null or empty. */
export class JsonMessage {
  readonly #name: string;
  readonly #fields: Fields;

  private constructor(name: string, fields: Fields) {
    this.#name = name;
    this.#fields = fields;
  }

  /** @throws SpiffeError `ARGUMENT_INVALID`; `TOO_LARGE` before anything is parsed */
  static decode(bytes: Uint8Array, { name, maxBytes, fields: known }: JsonMessageOptions): JsonMessage {
    if (bytes.length > maxBytes) {
      throw new SpiffeError('TOO_LARGE', `${name} has ${bytes.length} bytes, at most ${maxBytes} are read`);
    }
    let fields: unknown;
    try {
      fields = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    } catch (cause) {
      throw new SpiffeError('ARGUMENT_INVALID', `${name} is no JSON text: is it another attestor’s?`, { cause });
    }
    if (!isObject(fields)) throw new SpiffeError('ARGUMENT_INVALID', `${name} is no JSON object`);
    return new JsonMessage(name, fields).#having(known);
  }

  /** @throws SpiffeError `ARGUMENT_INVALID`, as of everything below */
  text(field: string, maxLength: number): string {
    const value = this.#required(field);
    if (typeof value !== 'string') throw this.#invalid(`has something other than text in "${field}"`);
    if (value.length > maxLength) {
      throw this.#invalid(`has ${value.length} characters in "${field}", at most ${maxLength} are read`);
    }
    return value;
  }

  wholeNumber(field: string): number {
    const value = this.#required(field);
    if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
    throw this.#invalid(`has something other than a whole number in "${field}"`);
  }

  /** Standard base64 with padding, in its one canonical form. */
  bytes(field: string, maxBytes: number): Uint8Array {
    return this.#bytesIn(this.#required(field), field, maxBytes);
  }

  /** One element at least. */
  listOfBytes(field: string, max: { readonly count: number; readonly bytes: number }): readonly Uint8Array[] {
    const values: unknown = this.#required(field);
    if (!Array.isArray(values) || values.length === 0) throw this.#invalid(`has no list in "${field}"`);
    if (values.length > max.count) {
      throw this.#invalid(`has ${values.length} elements in "${field}", at most ${max.count} are read`);
    }
    return values.map((value) => this.#bytesIn(value, field, max.bytes));
  }

  /** @param known as `fields` of the message itself */
  object(field: string, known?: readonly string[]): JsonMessage {
    const value = this.#required(field);
    if (!isObject(value)) throw this.#invalid(`has something other than an object in "${field}"`);
    return new JsonMessage(`"${field}" of ${this.#name}`, value).#having(known);
  }

  #having(known: readonly string[] | undefined): this {
    const unknown = Object.keys(this.#fields).find((field) => known?.includes(field) === false);
    if (unknown === undefined) return this;
    throw this.#invalid(`has ${quoteText(unknown)}, which is not among ${known?.join(', ')}`);
  }

  #bytesIn(value: unknown, field: string, maxBytes: number): Uint8Array {
    if (typeof value !== 'string') throw this.#invalid(`has something other than text in "${field}"`);
    const bytes = Buffer.from(value, 'base64');
    if (bytes.toString('base64') !== value) throw this.#invalid(`has no base64 in "${field}"`);
    if (bytes.length > maxBytes) {
      throw this.#invalid(`has ${bytes.length} bytes in "${field}", at most ${maxBytes} are read`);
    }
    return new Uint8Array(bytes);
  }

  #required(field: string): unknown {
    const value = this.#own(field);
    if (isAbsent(value)) throw this.#invalid(`has no "${field}"`);
    return value;
  }

  #own(field: string): unknown {
    return Object.hasOwn(this.#fields, field) ? this.#fields[field] : undefined;
  }

  #invalid(what: string): SpiffeError {
    return new SpiffeError('ARGUMENT_INVALID', `${this.#name} ${what}`);
  }
}

/** Bytes become base64, `undefined` what Go writes for a pointer to nothing. */
export type JsonMessageFields = { readonly [field: string]: JsonMessageValue };
type JsonMessageValue = string | number | Uint8Array | undefined | readonly Uint8Array[] | JsonMessageFields;

/** The inverse of {@link JsonMessage}, fields in the order that they are given in. */
export function encodeJsonMessage(fields: JsonMessageFields): Uint8Array {
  return new Uint8Array(Buffer.from(JSON.stringify(toJson(fields)), 'utf8'));
}

function toJson(value: JsonMessageValue): unknown {
  if (value === undefined) return null;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(toJson);
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, toJson(field)]));
}

/** What Go writes for what it does not have. */
const isAbsent = (value: unknown): boolean => value === undefined || value === null || value === '';

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
