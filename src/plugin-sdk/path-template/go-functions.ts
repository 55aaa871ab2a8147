import { quoteText } from '../../spiffe/quote-text.ts';
import { type TemplateFunctions, taking, takingMany, textIn } from './template-function.ts';
import {
  compareText,
  entryOf,
  formatValue,
  isList,
  isMap,
  isTrue,
  kindOf,
  type TemplateValue,
  templateFailure,
} from './values.ts';

/** Functions that text/template has itself. Source: its documentation, "Functions". */
export const GO_FUNCTIONS: TemplateFunctions = {
  // These two are called by the evaluation, which stops at the operand that decides.
  and: takingMany(1, (values) => values.find((value) => !isTrue(value)) ?? values.at(-1)),
  or: takingMany(1, (values) => values.find(isTrue) ?? values.at(-1)),
  not: taking(1, ([value]) => !isTrue(value)),
  eq: takingMany(2, ([one, ...others]) => others.some((other) => compare(one, other, 'eq') === 0)),
  ne: taking(2, ([one, other]) => compare(one, other, 'ne') !== 0),
  lt: taking(2, ([one, other]) => order(one, other, 'lt') < 0),
  le: taking(2, ([one, other]) => order(one, other, 'le') <= 0),
  gt: taking(2, ([one, other]) => order(one, other, 'gt') > 0),
  ge: taking(2, ([one, other]) => order(one, other, 'ge') >= 0),
  len: taking(1, ([value]) => lengthOf(value)),
  index: takingMany(1, ([value, ...keys]) => keys.reduce(elementOf, value)),
  print: takingMany(0, print),
  printf: takingMany(1, ([format, ...values]) => printf(textIn(format, 'printf'), values)),
};

/** @returns 0 where they are equal, else another number. Kinds that differ are a mistake, as they are in Go. */
function compare(one: TemplateValue, other: TemplateValue, name: string): number {
  if (typeof one === 'boolean' && typeof other === 'boolean') return one === other ? 0 : 1;
  return order(one, other, name);
}

function order(one: TemplateValue, other: TemplateValue, name: string): number {
  if (typeof one === 'string' && typeof other === 'string') return compareText(one, other);
  if (typeof one === 'number' && typeof other === 'number') return one - other;
  throw templateFailure(`"${name}" cannot compare ${kindOf(one)} with ${kindOf(other)}`);
}

function lengthOf(value: TemplateValue): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (isList(value)) return value.length;
  if (isMap(value)) return Object.keys(value).length;
  throw templateFailure(`"len" is given ${kindOf(value)}`);
}

function elementOf(value: TemplateValue, key: TemplateValue): TemplateValue {
  if (isList(value)) {
    if (typeof key === 'number' && key >= 0 && key < value.length) return value[key];
    throw templateFailure(`"index" is asked for ${formatValue(key)} of ${value.length} elements`);
  }
  if (isMap(value)) return entryOf(value, textIn(key, 'index'))?.value ?? '';
  throw templateFailure(`"index" is given ${kindOf(value)}, where a list or a map has to stand`);
}

/** A space goes between two values of which none is a text. */
function print(values: readonly TemplateValue[]): string {
  const isText = (index: number) => typeof values[index] === 'string';
  return values
    .map((value, index) => `${index > 0 && !isText(index) && !isText(index - 1) ? ' ' : ''}${formatValue(value)}`)
    .join('');
}

function printf(format: string, values: readonly TemplateValue[]): string {
  const left = [...values];
  const text = format.replace(/%[-+# 0]*[0-9.]*[a-zA-Z%]?/g, (verb) => {
    if (verb === '%%') return '%';
    if (left.length === 0) throw templateFailure(`"printf" has no value for ${quoteText(verb)}`);
    return formatVerb(verb, left.shift());
  });
  if (left.length > 0) throw templateFailure(`"printf" has ${left.length} values more than ${quoteText(format)} takes`);
  return text;
}

function formatVerb(verb: string, value: TemplateValue): string {
  const digits = /^%(0[1-9][0-9]?)?d$/.exec(verb);
  if (digits !== null && typeof value === 'number') {
    const width = Number(digits[1] ?? 0);
    return value < 0 ? `-${String(-value).padStart(width - 1, '0')}` : String(value).padStart(width, '0');
  }
  if (verb === '%v') return formatValue(value);
  if (verb === '%s' && typeof value === 'string') return value;
  if (verb === '%x' && typeof value === 'string') return Buffer.from(value).toString('hex');
  if (verb === '%x' && typeof value === 'number') return value.toString(16);
  throw templateFailure(
    `"printf" cannot write ${kindOf(value)} as ${quoteText(verb)}: there are %s, %d, %04d, %x and %v`,
  );
}
