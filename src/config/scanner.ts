import type { SpiffeError } from '../spiffe/error.ts';
import { configError } from './problem.ts';
import type { Position } from './syntax-tree.ts';

/** Walks over a text and knows the line and the column; shared by the HCL and the JSON reader. */
export class Scanner {
  readonly text: string;
  readonly #source: string;
  #offset = 0;
  #line = 1;
  #lineStart = 0;

  constructor(text: string, source: string) {
    this.text = text;
    this.#source = source;
    if (text.startsWith('\ufeff')) {
      this.#offset = 1;
      this.#lineStart = 1;
    }
  }

  get offset(): number {
    return this.#offset;
  }

  get position(): Position {
    return { line: this.#line, column: this.#offset - this.#lineStart + 1 };
  }

  get atEnd(): boolean {
    return this.#offset >= this.text.length;
  }

  /** The character at the offset plus `ahead`; empty at the end. */
  peek(ahead = 0): string {
    return this.text.charAt(this.#offset + ahead);
  }

  startsWith(prefix: string): boolean {
    return this.text.startsWith(prefix, this.#offset);
  }

  /** Takes `length` characters. */
  take(length = 1): string {
    const end = Math.min(this.#offset + length, this.text.length);
    const taken = this.text.slice(this.#offset, end);
    for (let at = this.#offset; at < end; at++) {
      if (this.text.charCodeAt(at) !== 0x0a) continue;
      this.#line++;
      this.#lineStart = at + 1;
    }
    this.#offset = end;
    return taken;
  }

  /** Takes what a sticky expression matches here. */
  match(sticky: RegExp): string | undefined {
    sticky.lastIndex = this.#offset;
    const found = sticky.exec(this.text);
    return found ? this.take(found[0].length) : undefined;
  }

  /** The rest of the line without its end, which is taken too; undefined at the end of the text. */
  takeLine(): string | undefined {
    if (this.atEnd) return undefined;
    const end = this.text.indexOf('\n', this.#offset);
    return end === -1 ? this.take(this.text.length) : this.take(end + 1 - this.#offset).slice(0, -1);
  }

  /** What to say the text has here, for a message. */
  describe(): string {
    if (this.atEnd) return 'the end of the file';
    const character = String.fromCodePoint(this.text.codePointAt(this.#offset) ?? 0);
    return character === '\n' ? 'the end of the line' : JSON.stringify(character);
  }

  error(message: string, position: Position = this.position): SpiffeError {
    return configError([{ source: this.#source, position, path: '', message }]);
  }
}
