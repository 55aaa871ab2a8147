import { SpiffeError } from '../../spiffe/error.ts';
import { findFunction, unsupportedFunction } from './functions.ts';
import { scanTemplate, type Token } from './scan.ts';

/** One piece of a template, in the order in which the output has them. */
export type TemplateNode =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'output'; readonly pipeline: Pipeline }
  | { readonly kind: 'if' | 'with'; readonly pipeline: Pipeline; readonly then: Body; readonly otherwise: Body };
export type Body = readonly TemplateNode[];

/** Each command is handed what the one before it gave, as its last argument. */
export type Pipeline = readonly Command[];
export interface Command {
  /** Absent where the command is one value. */
  readonly function?: string;
  readonly operands: readonly Operand[];
}
export type Operand =
  | { readonly kind: 'value'; readonly value: string | number | boolean | undefined }
  | { readonly kind: 'field'; readonly names: readonly string[]; readonly fromRoot: boolean }
  | { readonly kind: 'pipeline'; readonly pipeline: Pipeline; readonly names: readonly string[] };

const MAX_DEPTH = 16;
const WORDS = new Map<string, boolean | undefined>([
  ['true', true],
  ['false', false],
  ['nil', undefined],
]);
const CLAUSES = ['end', 'else'];
const UNSUPPORTED_ACTIONS = ['range', 'define', 'template', 'block', 'break', 'continue'];

/** @throws SpiffeError `CONFIG_INVALID` */
export function parseTemplate(template: string): Body {
  return new Parser(scanTemplate(template)).parse();
}

class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  parse(): Body {
    const body = this.#body();
    if (this.#at < this.#tokens.length) throw invalid(`"{{${this.#clause()}}}" without an "if" or a "with" before it`);
    return body;
  }

  /** Up to the end, or to an `{{end}}` or `{{else …}}`, which stays. */
  #body(): Body {
    const nodes: TemplateNode[] = [];
    for (;;) {
      const token = this.#tokens[this.#at];
      if (token === undefined || this.#clause() !== undefined) return nodes;
      this.#at += 1;
      nodes.push(token.kind === 'text' ? { kind: 'text', text: token.text } : this.#action());
    }
  }

  #action(): TemplateNode {
    const word = this.#word();
    if (word === 'if' || word === 'with') {
      this.#at += 1;
      return this.#conditional(word);
    }
    if (word !== undefined && UNSUPPORTED_ACTIONS.includes(word)) {
      throw invalid(`"${word}", which is not supported: there are values, functions, "if" and "with"`);
    }
    return { kind: 'output', pipeline: this.#pipelineUpTo('close') };
  }

  #conditional(kind: 'if' | 'with'): TemplateNode {
    return this.#nested(() => {
      const pipeline = this.#pipelineUpTo('close');
      const then = this.#body();
      return { kind, pipeline, then, otherwise: this.#otherwise(kind) };
    });
  }

  #otherwise(kind: 'if' | 'with'): Body {
    const clause = this.#clause();
    if (clause === undefined) throw invalid(`"${kind}" without its "{{end}}"`);
    this.#at += 2;
    if (clause === 'end') {
      this.#expectClose('end');
      return [];
    }
    const word = this.#word();
    if (word === kind) {
      this.#at += 1;
      return [this.#conditional(word)];
    }
    this.#expectClose('else');
    const body = this.#body();
    if (this.#clause() !== 'end') throw invalid(`"${kind}" without its "{{end}}"`);
    this.#at += 2;
    this.#expectClose('end');
    return body;
  }

  #pipelineUpTo(end: 'close' | 'right'): Pipeline {
    const commands: Command[] = [];
    for (;;) {
      const command = this.#command(commands.length > 0);
      commands.push(command);
      const token = this.#tokens[this.#at];
      this.#at += 1;
      if (token?.kind === end) return commands;
      if (token?.kind !== 'pipe') throw invalid(end === 'right' ? 'a "(" without its ")"' : 'a ")" without its "("');
    }
  }

  #command(isPiped: boolean): Command {
    const word = this.#word();
    const isCall = word !== undefined && !WORDS.has(word);
    if (isCall) this.#at += 1;
    const operands: Operand[] = [];
    for (let operand = this.#findOperand(); operand !== undefined; operand = this.#findOperand())
      operands.push(operand);
    if (!isCall) {
      if (isPiped) throw invalid('a value behind "|", where a function has to stand');
      if (operands.length === 0) throw invalid('"{{ }}", "( )" or "|" without a value');
      if (operands.length > 1) throw invalid('several values side by side: a function has to stand before them');
      return { operands };
    }
    requireCall(word, operands.length + (isPiped ? 1 : 0));
    return { function: word, operands };
  }

  #findOperand(): Operand | undefined {
    const token = this.#tokens[this.#at];
    switch (token?.kind) {
      case 'string':
      case 'number':
        this.#at += 1;
        return { kind: 'value', value: token.value };
      case 'field':
        this.#at += 1;
        return { kind: 'field', names: token.names, fromRoot: token.fromRoot };
      case 'left':
        this.#at += 1;
        return this.#nested(() => ({ kind: 'pipeline', pipeline: this.#pipelineUpTo('right'), names: this.#chain() }));
      case 'word':
        this.#at += 1;
        if (WORDS.has(token.name)) return { kind: 'value', value: WORDS.get(token.name) };
        requireCall(token.name, 0);
        return { kind: 'pipeline', pipeline: [{ function: token.name, operands: [] }], names: [] };
      default:
        return undefined;
    }
  }

  #chain(): readonly string[] {
    const token = this.#tokens[this.#at];
    if (token?.kind !== 'field' || !token.chained || token.fromRoot) return [];
    this.#at += 1;
    return token.names;
  }

  /** The word that comes next, if one does. */
  #word(): string | undefined {
    const token = this.#tokens[this.#at];
    return token?.kind === 'word' ? token.name : undefined;
  }

  /** `end` or `else`, where the next action is one. */
  #clause(): string | undefined {
    const token = this.#tokens[this.#at + 1];
    const isAction = this.#tokens[this.#at]?.kind === 'open';
    return isAction && token?.kind === 'word' && CLAUSES.includes(token.name) ? token.name : undefined;
  }

  #expectClose(word: string): void {
    if (this.#tokens[this.#at]?.kind !== 'close') throw invalid(`something behind "${word}" before its "}}"`);
    this.#at += 1;
  }

  #nested<T>(parse: () => T): T {
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH) throw invalid(`more than ${MAX_DEPTH} parentheses or conditions inside of each other`);
    const parsed = parse();
    this.#depth -= 1;
    return parsed;
  }
}

function requireCall(name: string, count: number): void {
  const found = findFunction(name);
  if (found === undefined) throw unsupportedFunction(name);
  if (count >= found.min && count <= found.max) return;
  const wanted = found.max === found.min ? `${found.min}` : `${found.min} or more`;
  throw invalid(`${count} arguments for "${name}", which takes ${wanted}`);
}

function invalid(what: string): SpiffeError {
  return new SpiffeError('CONFIG_INVALID', `the template has ${what}`);
}
