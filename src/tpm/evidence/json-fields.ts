import { SpiffeError } from '../../spiffe/error.ts';
import { quoteText } from '../../spiffe/quote-text.ts';

/** Reads the fields of a JSON object, each once, with its kind and size. Every failure is `TPM_DATA_INVALID`. */
export class JsonFields {
  readonly #fields: Map<string, unknown>;
  readonly #what: string;

  private constructor(fields: Map<string, unknown>, what: string) {
    this.#fields = fields;
    this.#what = what;
  }

  static of(value: unknown, what: string): JsonFields {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new SpiffeError('TPM_DATA_INVALID', `${what} is no JSON object`);
    }
    return new JsonFields(new Map(Object.entries(value)), what);
  }

  /** Of what was not read yet. */
  names(): readonly string[] {
    return [...this.#fields.keys()];
  }

  has(name: string): boolean {
    return this.#fields.has(name);
  }

  text(name: string, maxCharacters: number): string {
    const value = this.#take(name);
    if (typeof value !== 'string') throw this.#invalid(name, 'no text');
    if (value.length > maxCharacters) {
      throw this.#invalid(name, `${value.length} characters long, at most ${maxCharacters} are read`);
    }
    return value;
  }

  number(name: string): number {
    const value = this.#take(name);
    if (typeof value !== 'number') throw this.#invalid(name, 'no number');
    return value;
  }

  time(name: string): Date {
    const text = this.text(name, 64);
    const time = new Date(text);
    if (Number.isNaN(time.getTime())) throw this.#invalid(name, `no time: ${quoteText(text)}`);
    return time;
  }

  hex(name: string, { min, max }: { readonly min: number; readonly max: number }): Uint8Array {
    const text = this.text(name, max * 2);
    if (!/^(?:[0-9a-fA-F]{2})*$/.test(text) || text.length < min * 2) {
      throw this.#invalid(name, `not ${min === max ? min : `${min} to ${max}`} bytes in hexadecimal digits`);
    }
    return new Uint8Array(Buffer.from(text, 'hex'));
  }

  base64(name: string, maxBytes: number): Uint8Array {
    return this.#decode(name, this.text(name, Math.ceil(maxBytes / 3) * 4), maxBytes);
  }

  base64List(name: string, maxItems: number, maxBytes: number): readonly Uint8Array[] {
    return this.#list(name, { min: 0, max: maxItems }).map((item, index) =>
      JsonFields.of({ [index]: item }, `${name} of ${this.#what}`).base64(String(index), maxBytes),
    );
  }

  object(name: string): JsonFields {
    return JsonFields.of(this.#take(name), `${name} of ${this.#what}`);
  }

  objects(name: string, limits: { readonly min: number; readonly max: number }): readonly JsonFields[] {
    return this.#list(name, limits).map((item) => JsonFields.of(item, `${name} of ${this.#what}`));
  }

  /** @throws where a field is left: what is not understood might have changed the meaning of the rest */
  end(): void {
    const [name] = this.#fields.keys();
    if (name !== undefined) throw this.#invalid(name, 'not known');
  }

  #list(name: string, { min, max }: { readonly min: number; readonly max: number }): readonly unknown[] {
    const value = this.#take(name);
    if (!Array.isArray(value)) throw this.#invalid(name, 'no list');
    if (value.length < min || value.length > max) {
      throw this.#invalid(name, `a list of ${value.length}, ${min} to ${max} are read`);
    }
    return value;
  }

  /** Node reads over what is no base64: only what comes out as it went in counts. */
  #decode(name: string, text: string, maxBytes: number): Uint8Array {
    const bytes = Buffer.from(text, 'base64');
    if (bytes.length > maxBytes) throw this.#invalid(name, `larger than ${maxBytes} bytes`);
    if (bytes.toString('base64') !== text) throw this.#invalid(name, 'no base64');
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  #take(name: string): unknown {
    if (!this.#fields.has(name)) throw this.#invalid(name, 'missing');
    const value = this.#fields.get(name);
    this.#fields.delete(name);
    return value;
  }

  #invalid(name: string, what: string): SpiffeError {
    return new SpiffeError('TPM_DATA_INVALID', `${quoteText(name)} of ${this.#what} is ${what}`);
  }
}
