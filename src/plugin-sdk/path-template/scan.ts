import { SpiffeError } from '../../spiffe/error.ts';
import { quoteText } from '../../spiffe/quote-text.ts';

/** A piece of a template: text outside of `{{ }}`, or one word inside. */
export type Token =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'open' | 'close' | 'pipe' | 'left' | 'right' }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'word'; readonly name: string }
  /** `.A.B`, `.`, `$`, `$.A`; `chained` where it stands against a closing parenthesis. */
  | {
      readonly kind: 'field';
      readonly names: readonly string[];
      readonly fromRoot: boolean;
      readonly chained: boolean;
    };

/** Operators write these by hand. */
const MAX_TEMPLATE_LENGTH = 4096;

const OPEN = '{{';
const COMMENT = /\{\{(-[ \t\r\n]+)?\/\*(?:[^*]|\*(?!\/))*\*\/([ \t\r\n]+-)?\}\}/y;
const TRIMMED_OPEN = /\{\{-(?=[ \t\r\n])/y;
const CLOSE = /[ \t\r\n]*\}\}/y;
const TRIMMED_CLOSE = /[ \t\r\n]+-\}\}/y;
const SPACE = /[ \t\r\n]+/y;
const QUOTED = /"(?:[^"\\\n]|\\.)*"/y;
const RAW = /`([^`]*)`/y;
const FIELD = /(\$?)((?:\.[A-Za-z_][A-Za-z0-9_]*)+)/y;
const DOT_OR_ROOT = /[.$](?![A-Za-z0-9_.])/y;
const NUMBER = /[-+]?[0-9]+(?![A-Za-z0-9_.])/y;
const WORD = /[A-Za-z_][A-Za-z0-9_]*/y;
const SPACES_BEFORE = /[ \t\r\n]+$/;
const SPACES_AFTER = /^[ \t\r\n]+/;
/** What may stand behind a value. */
const ENDS_VALUE = /(?=[ \t\r\n|()]|\}\})/y;
const SIGNS: ReadonlyMap<string, 'pipe' | 'left' | 'right'> = new Map([
  ['|', 'pipe'],
  ['(', 'left'],
  [')', 'right'],
]);

/** @throws SpiffeError `CONFIG_INVALID` */
export function scanTemplate(template: string): readonly Token[] {
  if (template.length > MAX_TEMPLATE_LENGTH) {
    throw new SpiffeError(
      'CONFIG_INVALID',
      `the template has ${template.length} characters, at most ${MAX_TEMPLATE_LENGTH} are read`,
    );
  }
  return new Scanner(template).scan();
}

class Scanner {
  readonly #template: string;
  readonly #tokens: Token[] = [];
  #at = 0;

  constructor(template: string) {
    this.#template = template;
  }

  scan(): readonly Token[] {
    let trimNext = false;
    while (this.#at < this.#template.length) {
      const open = this.#template.indexOf(OPEN, this.#at);
      const end = open === -1 ? this.#template.length : open;
      const text = this.#template.slice(this.#at, end);
      this.#at = end;
      const comment = open === -1 ? undefined : this.#take(COMMENT);
      const trimThis =
        comment === undefined ? open !== -1 && this.#take(TRIMMED_OPEN) !== undefined : comment[1] !== undefined;
      this.#addText(trimmed(text, trimNext, trimThis));
      if (open === -1) break;
      if (comment !== undefined) {
        trimNext = comment[2] !== undefined;
        continue;
      }
      if (!trimThis) this.#at += OPEN.length;
      trimNext = this.#scanAction();
    }
    return this.#tokens;
  }

  /** @returns whether the white space behind the action goes */
  #scanAction(): boolean {
    this.#tokens.push({ kind: 'open' });
    for (;;) {
      const trims = this.#take(TRIMMED_CLOSE) !== undefined;
      if (trims || this.#take(CLOSE) !== undefined) {
        this.#tokens.push({ kind: 'close' });
        return trims;
      }
      if (this.#take(SPACE) !== undefined) continue;
      this.#tokens.push(this.#findValue() ?? this.#sign());
    }
  }

  #findValue(): Token | undefined {
    const chained = this.#template[this.#at - 1] === ')';
    const token = this.#findString() ?? this.#findField(chained) ?? this.#findNumberOrWord();
    if (token !== undefined && this.#take(ENDS_VALUE) === undefined) throw this.#unreadable();
    return token;
  }

  #findString(): Token | undefined {
    const quoted = this.#take(QUOTED);
    if (quoted !== undefined) return { kind: 'string', value: unquote(quoted[0]) };
    const raw = this.#take(RAW);
    return raw && { kind: 'string', value: raw[1] ?? '' };
  }

  #findField(chained: boolean): Token | undefined {
    const field = this.#take(FIELD);
    if (field !== undefined) {
      const names = (field[2] ?? '').slice(1).split('.');
      return { kind: 'field', names, fromRoot: field[1] === '$', chained };
    }
    const short = this.#take(DOT_OR_ROOT);
    return short && { kind: 'field', names: [], fromRoot: short[0] === '$', chained: false };
  }

  #findNumberOrWord(): Token | undefined {
    const number = this.#take(NUMBER);
    if (number !== undefined) return { kind: 'number', value: wholeNumber(number[0]) };
    const word = this.#take(WORD);
    return word && { kind: 'word', name: word[0] };
  }

  #sign(): Token {
    const kind = SIGNS.get(this.#template[this.#at] ?? '');
    if (kind === undefined) throw this.#unreadable();
    this.#at += 1;
    return { kind };
  }

  #addText(text: string): void {
    if (text !== '') this.#tokens.push({ kind: 'text', text });
  }

  #take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#template);
    if (match === null) return undefined;
    this.#at = pattern.lastIndex;
    return match;
  }

  #unreadable(): SpiffeError {
    const rest = this.#template.slice(this.#at, this.#at + 20);
    if (rest === '') return new SpiffeError('CONFIG_INVALID', 'the template has a "{{" that is never closed by "}}"');
    if (/^(\$[A-Za-z_]|:?=|,)/.test(rest)) {
      return new SpiffeError(
        'CONFIG_INVALID',
        `the template has ${quoteText(rest)}: variables are not supported, use "with" or repeat the expression`,
      );
    }
    return new SpiffeError('CONFIG_INVALID', `the template has ${quoteText(rest)}, which cannot be read`);
  }
}

function trimmed(text: string, start: boolean, end: boolean): string {
  const begun = start ? text.replace(SPACES_AFTER, '') : text;
  return end ? begun.replace(SPACES_BEFORE, '') : begun;
}

/** Of Go's escapes those that JSON has too. */
function unquote(quoted: string): string {
  const unknown = /\\(?!["\\bfnrt]|u[0-9a-fA-F]{4})./.exec(quoted.replaceAll('\\\\', ''));
  if (unknown !== null) {
    throw new SpiffeError(
      'CONFIG_INVALID',
      `the template has the escape ${quoteText(unknown[0])} in ${quoted}, which is not supported: write it between back-quotes`,
    );
  }
  return String(JSON.parse(quoted.replaceAll('\t', '\\t').replaceAll('\r', '\\r')));
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && !/^[-+]?0[0-9]/.test(text)) return value;
  throw new SpiffeError(
    'CONFIG_INVALID',
    `the template has the number ${text}: only whole decimal numbers are supported`,
  );
}
