import { SpiffeError } from '../spiffe/error.ts';

/** Which attestors have to vouch for a node: names, joined by `&&` and `||`. */
export type StageExpression =
  | { readonly kind: 'stage'; readonly name: string }
  | { readonly kind: 'all' | 'any'; readonly parts: readonly StageExpression[] };

const MAX_CHARACTERS = 1024;
const MAX_STAGES = 16;
const TOKEN = /\s*(&&|\|\||[()]|[A-Za-z0-9._-]+)/y;

/**
 * Reads `tpm && (k8s_psat || aws_iid)`: `&&` binds closer than `||`, and parentheses may be used.
 *
 * @throws SpiffeError `CONFIG_INVALID` that says where it goes wrong
 */
export function parseStageExpression(text: string): StageExpression {
  if (text.length > MAX_CHARACTERS) throw refused(`it has ${text.length} characters, ${MAX_CHARACTERS} at most`);
  const tokens = new Tokens(text);
  const expression = parseAny(tokens);
  if (tokens.next !== undefined)
    throw refused(`${JSON.stringify(tokens.next)} stands where "&&", "||" or the end is due`);
  const { length } = stagesOf(expression);
  if (length > MAX_STAGES) throw refused(`it names ${length} attestors, ${MAX_STAGES} at most`);
  return expression;
}

/** Each attestor once, in the order of the text. */
export function stagesOf(expression: StageExpression): readonly string[] {
  if (expression.kind === 'stage') return [expression.name];
  return [...new Set(expression.parts.flatMap(stagesOf))];
}

/** Whether it is enough that these vouch for a node. */
export function isSatisfiedBy(expression: StageExpression, stages: ReadonlySet<string>): boolean {
  switch (expression.kind) {
    case 'stage':
      return stages.has(expression.name);
    case 'all':
      return expression.parts.every((part) => isSatisfiedBy(part, stages));
    case 'any':
      return expression.parts.some((part) => isSatisfiedBy(part, stages));
  }
}

class Tokens {
  readonly #tokens: string[] = [];
  #position = 0;

  constructor(text: string) {
    TOKEN.lastIndex = 0;
    for (let end = 0; text.slice(end).trim() !== ''; end = TOKEN.lastIndex) {
      const token = TOKEN.exec(text)?.[1];
      if (token === undefined) throw refused(`${JSON.stringify(text.slice(end).trim()[0])} means nothing there`);
      this.#tokens.push(token);
    }
  }

  get next(): string | undefined {
    return this.#tokens[this.#position];
  }

  take(wanted?: string): string | undefined {
    const token = this.next;
    if (token === undefined || (wanted !== undefined && token !== wanted)) return undefined;
    this.#position += 1;
    return token;
  }
}

const parseAny = (tokens: Tokens): StageExpression => parseJoined(tokens, 'any', '||', parseAll);
const parseAll = (tokens: Tokens): StageExpression => parseJoined(tokens, 'all', '&&', parseOne);

function parseJoined(
  tokens: Tokens,
  kind: 'all' | 'any',
  operator: string,
  parsePart: (tokens: Tokens) => StageExpression,
): StageExpression {
  const first = parsePart(tokens);
  const parts = [first];
  while (tokens.take(operator) !== undefined) parts.push(parsePart(tokens));
  return parts.length === 1 ? first : { kind, parts };
}

function parseOne(tokens: Tokens): StageExpression {
  const token = tokens.take();
  if (token === '(') {
    const inner = parseAny(tokens);
    if (tokens.take(')') === undefined) throw refused('a parenthesis is not closed');
    return inner;
  }
  if (token === undefined || !/\w/.test(token)) {
    throw refused(
      `${token === undefined ? 'the end' : JSON.stringify(token)} stands where the name of an attestor is due`,
    );
  }
  return { kind: 'stage', name: token };
}

function refused(reason: string): SpiffeError {
  return new SpiffeError('CONFIG_INVALID', `is no expression such as "tpm && (k8s_psat || aws_iid)": ${reason}`);
}
