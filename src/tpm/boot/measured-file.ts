import { isSpiffeError } from '../../spiffe/error.ts';
import { findFileKey } from '../ima/file-key.ts';
import { type ImaFields, imaFieldsOf } from '../ima/ima-fields.ts';
import type { ImaRecord } from '../ima/parse-ima-log.ts';
import type { ImaFile } from './boot-facts.ts';

const NOTHING = new Uint8Array();

/**
 * A file in an IMA log, which is read when somebody asks what it says: a list of what is allowed is searched by its key alone.
 * Of a log with half a million entries each byte here counts, so it knows where its data stands and has no view of it.
 */
export class MeasuredFile implements ImaFile {
  readonly number: number;
  readonly template: string;
  readonly isViolation: boolean;
  readonly #bytes: Buffer;
  readonly #start: number;
  readonly #end: number;
  #fields: ImaFields | 'unreadable' | undefined;

  /**
   * @param number from 0 in the whole log
   * @param log that the record is in
   */
  constructor(number: number, { template, isViolation, templateData }: ImaRecord, log: Buffer) {
    const isInLog = templateData.buffer === log.buffer; // the data of the oldest template is made of it
    this.number = number;
    this.template = template;
    this.isViolation = isViolation;
    this.#bytes = isInLog ? log : templateData;
    this.#start = isInLog ? templateData.byteOffset - log.byteOffset : 0;
    this.#end = this.#start + templateData.length;
  }

  get name(): string | undefined {
    return this.#read()?.name;
  }

  get digest(): string {
    const fields = this.#read();
    if (fields === undefined) return '';
    const { algorithm, digest, digestType } = fields;
    const text = `${algorithm}:${Buffer.from(digest).toString('hex')}`;
    return digestType === 'ima' ? text : `${digestType}:${text}`;
  }

  get signature(): Uint8Array {
    return this.#read()?.signature ?? NOTHING;
  }

  get key(): string | undefined {
    return this.isViolation ? undefined : findFileKey(this.template, this.#bytes, this.#start, this.#end);
  }

  /** What cannot be read says nothing: a rule on files refuses it. */
  #read(): ImaFields | undefined {
    this.#fields ??= this.isViolation ? 'unreadable' : this.#findFields();
    return this.#fields === 'unreadable' ? undefined : this.#fields;
  }

  #findFields(): ImaFields | 'unreadable' {
    const { number, template } = this;
    try {
      const templateData = this.#bytes.subarray(this.#start, this.#end);
      return imaFieldsOf({ number, template, templateData }) ?? 'unreadable';
    } catch (error) {
      if (!isSpiffeError(error)) throw error;
      return 'unreadable';
    }
  }
}
