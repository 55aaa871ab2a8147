import { SpiffeError } from '../spiffe/error.ts';
import { isObject } from './read-input-file.ts';

/** The fields of a JSON object by their names in any case; one that is absent or null has its type's empty value. */
export class JsonFields {
  readonly #values: ReadonlyMap<string, unknown>;
  readonly #where: string;

  constructor(object: Readonly<Record<string, unknown>>, where: string) {
    this.#values = new Map(Object.entries(object).map(([key, value]) => [key.toLowerCase(), value]));
    this.#where = where;
  }

  text(key: string): string {
    const value = this.#find(key);
    if (value === undefined) return '';
    if (typeof value !== 'string') throw this.#mismatch(key, 'a text');
    return value;
  }

  /** As it is; undefined where it is absent or null. */
  value(key: string): unknown {
    return this.#find(key);
  }

  boolean(key: string): boolean {
    const value = this.#find(key);
    if (value === undefined) return false;
    if (typeof value !== 'boolean') throw this.#mismatch(key, 'true or false');
    return value;
  }

  wholeNumber(key: string, max: number): number {
    const value = this.#find(key);
    if (value === undefined) return 0;
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > max) {
      throw this.#mismatch(key, `a whole number from 0 to ${max}`);
    }
    return value;
  }

  list(key: string): readonly unknown[] {
    const value = this.#find(key);
    if (value === undefined) return [];
    if (!Array.isArray(value)) throw this.#mismatch(key, 'a list');
    return value;
  }

  texts(key: string): readonly string[] {
    return this.list(key).map((value) => {
      if (typeof value !== 'string') throw this.#mismatch(key, 'a list of texts');
      return value;
    });
  }

  object(key: string): JsonFields | undefined {
    const value = this.#find(key);
    if (value === undefined) return undefined;
    if (!isObject(value)) throw this.#mismatch(key, 'an object');
    return new JsonFields(value, `${this.#where}: ${key}`);
  }

  #find(key: string): unknown {
    return this.#values.get(key.toLowerCase()) ?? undefined;
  }

  #mismatch(key: string, wanted: string): SpiffeError {
    return new SpiffeError('ARGUMENT_INVALID', `${this.#where}: "${key}" must be ${wanted}`);
  }
}
