import { quoteText } from '../../spiffe/quote-text.ts';
import { findFunction } from './functions.ts';
import type { Body, Command, Operand, Pipeline, TemplateNode } from './parse.ts';
import {
  entryOf,
  formatValue,
  isList,
  isMap,
  isTrue,
  kindOf,
  MAX_LIST_LENGTH,
  MAX_TEXT_LENGTH,
  type TemplateMap,
  type TemplateValue,
  templateFailure,
} from './values.ts';

/** What `.` and `$` are. */
interface Scope {
  readonly dot: TemplateValue;
  readonly root: TemplateMap;
  /** Names of the root whose value may have "/". */
  readonly paths: readonly string[];
}

/**
 * @param paths names whose value may be several segments
 * @throws SpiffeError `ATTESTATION_DENIED` where a value is missing or is nothing that a function takes
 */
export function renderTemplate(body: Body, values: TemplateMap, paths: readonly string[] = []): string {
  return renderBody(body, { dot: values, root: values, paths });
}

function renderBody(body: Body, scope: Scope): string {
  let text = '';
  for (const node of body) text = limited(text + renderNode(node, scope));
  return text;
}

function renderNode(node: TemplateNode, scope: Scope): string {
  if (node.kind === 'text') return node.text;
  const value = evaluatePipeline(node.pipeline, scope);
  if (node.kind === 'output') return requireSegment(node.pipeline, outputOf(value), scope);
  if (!isTrue(value)) return renderBody(node.otherwise, scope);
  return renderBody(node.then, node.kind === 'with' ? { ...scope, dot: value } : scope);
}

function outputOf(value: TemplateValue): string {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return formatValue(value);
  throw templateFailure(`it puts ${kindOf(value)} into the path, where a text or a number has to stand`);
}

/** A value as it is, by no function, is one segment: a node that chose it could otherwise take the place of another. */
function requireSegment([command, ...others]: Pipeline, text: string, { paths }: Scope): string {
  const [operand] = command?.operands ?? [];
  const isPlain = others.length === 0 && command?.function === undefined && operand?.kind === 'field';
  if (!isPlain || !text.includes('/') || paths.includes(operand.names[0] ?? '')) return text;
  throw templateFailure(
    `the value ${quoteText(text)} has a "/", which would begin another segment: use "replace" to write it otherwise`,
  );
}

function evaluatePipeline(pipeline: Pipeline, scope: Scope): TemplateValue {
  let piped: readonly TemplateValue[] = [];
  for (const command of pipeline) piped = [evaluateCommand(command, piped, scope)];
  return piped[0];
}

function evaluateCommand(command: Command, piped: readonly TemplateValue[], scope: Scope): TemplateValue {
  const name = command.function;
  if (name === undefined) {
    const [operand] = command.operands;
    return operand && evaluateOperand(operand, scope);
  }
  if (name === 'and' || name === 'or') return evaluateLogic(name, command.operands, piped, scope);
  const values = command.operands.map((operand) => evaluateOperand(operand, scope));
  return limited(findFunction(name)?.call([...values, ...piped]));
}

/** The first operand that decides, else the last; those behind it are not evaluated. */
function evaluateLogic(
  name: 'and' | 'or',
  operands: readonly Operand[],
  piped: readonly TemplateValue[],
  scope: Scope,
): TemplateValue {
  let value: TemplateValue;
  for (const operand of operands) {
    value = evaluateOperand(operand, scope);
    if (isTrue(value) === (name === 'or')) return value;
  }
  return piped.length > 0 ? piped[0] : value;
}

function evaluateOperand(operand: Operand, scope: Scope): TemplateValue {
  switch (operand.kind) {
    case 'value':
      return operand.value;
    case 'field':
      return walk(operand.fromRoot ? scope.root : scope.dot, operand.names);
    case 'pipeline':
      return walk(evaluatePipeline(operand.pipeline, scope), operand.names);
  }
}

function walk(from: TemplateValue, names: readonly string[]): TemplateValue {
  let value = from;
  for (const [index, name] of names.entries()) {
    const found = isMap(value) ? entryOf(value, name) : undefined;
    if (found === undefined)
      throw templateFailure(`there is no ${quoteText(`.${names.slice(0, index + 1).join('.')}`)}`);
    value = found.value;
  }
  return value;
}

function limited<T extends TemplateValue>(value: T): T {
  if (typeof value === 'string' && value.length > MAX_TEXT_LENGTH) {
    throw templateFailure(`a text in it has more than ${MAX_TEXT_LENGTH} characters`);
  }
  if (isList(value) && value.length > MAX_LIST_LENGTH) {
    throw templateFailure(`a list in it has more than ${MAX_LIST_LENGTH} elements`);
  }
  return value;
}
