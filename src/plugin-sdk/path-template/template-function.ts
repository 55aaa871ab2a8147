import { quoteText } from '../../spiffe/quote-text.ts';
import { isList, kindOf, type TemplateValue, templateFailure } from './values.ts';

/** A function of templates, called with `min` to `max` arguments. */
export interface TemplateFunction {
  readonly min: number;
  readonly max: number;
  call(values: readonly TemplateValue[]): TemplateValue;
}

export type TemplateFunctions = Readonly<Record<string, TemplateFunction>>;

/** With exactly so many arguments. */
export function taking(count: number, call: TemplateFunction['call']): TemplateFunction {
  return { min: count, max: count, call };
}

/** With so many arguments or more. */
export function takingMany(min: number, call: TemplateFunction['call']): TemplateFunction {
  return { min, max: Number.POSITIVE_INFINITY, call };
}

/** With texts alone. */
export function takingTexts(
  count: number,
  name: string,
  call: (...texts: readonly string[]) => TemplateValue,
): TemplateFunction {
  return taking(count, (values) => call(...values.map((value) => textIn(value, name))));
}

export function textIn(value: TemplateValue, name: string): string {
  if (typeof value === 'string') return value;
  throw templateFailure(`"${name}" is given ${kindOf(value)}, where a text has to stand`);
}

/** Positions count bytes in Go. */
export function asciiIn(value: TemplateValue, name: string): string {
  const text = textIn(value, name);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the range is that of ASCII
  if (/^[\x00-\x7f]*$/.test(text)) return text;
  throw templateFailure(`"${name}" is given ${quoteText(text)}, which has characters outside of ASCII`);
}

export function numberIn(value: TemplateValue, name: string): number {
  if (typeof value === 'number') return value;
  throw templateFailure(`"${name}" is given ${kindOf(value)}, where a number has to stand`);
}

export function listIn(value: TemplateValue, name: string): readonly TemplateValue[] {
  if (isList(value)) return value;
  throw templateFailure(`"${name}" is given ${kindOf(value)}, where a list has to stand`);
}
