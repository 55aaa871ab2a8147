import { SpiffeError } from '../../spiffe/error.ts';

/** What a template computes with. A map's keys are looked up as own properties only. */
export type TemplateValue = string | number | boolean | undefined | readonly TemplateValue[] | TemplateMap;
export interface TemplateMap {
  readonly [key: string]: TemplateValue;
}

/** Longer texts and lists are not computed with: no path needs them, and a node may have chosen what is in them. */
export const MAX_TEXT_LENGTH = 8192;
export const MAX_LIST_LENGTH = 1024;

/** Why a template gives no path for one node. */
export function templateFailure(reason: string): SpiffeError {
  return new SpiffeError('ATTESTATION_DENIED', reason);
}

export function isList(value: TemplateValue): value is readonly TemplateValue[] {
  return Array.isArray(value);
}

export function isMap(value: TemplateValue): value is TemplateMap {
  return typeof value === 'object' && !isList(value);
}

/** Go's rule for `if`: false, 0, nothing, and an empty text, list or map are false. */
export function isTrue(value: TemplateValue): boolean {
  if (isList(value)) return value.length > 0;
  if (isMap(value)) return Object.keys(value).length > 0;
  return value !== undefined && value !== '' && value !== 0 && value !== false;
}

/** As Go's `fmt.Sprint` writes one value. */
export function formatValue(value: TemplateValue): string {
  if (value === undefined) return '<nil>';
  if (isList(value)) return `[${value.map(formatValue).join(' ')}]`;
  if (!isMap(value)) return String(value);
  const entries = Object.keys(value).sort(compareText);
  return `map[${entries.map((key) => `${key}:${formatValue(value[key])}`).join(' ')}]`;
}

/** By code point, as Go sorts texts. */
export function compareText(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other));
}

export function kindOf(value: TemplateValue): string {
  if (value === undefined) return 'nothing';
  if (isList(value)) return 'a list';
  if (isMap(value)) return 'a map';
  return typeof value === 'string' ? 'a text' : typeof value === 'number' ? 'a number' : 'true or false';
}

/** The entry of a map, never what every object inherits. */
export function entryOf(map: TemplateMap, key: string): { readonly value: TemplateValue } | undefined {
  return Object.hasOwn(map, key) ? { value: map[key] } : undefined;
}

export function equalValues(one: TemplateValue, other: TemplateValue): boolean {
  if (isList(one) && isList(other)) {
    return one.length === other.length && one.every((value, index) => equalValues(value, other[index]));
  }
  if (isMap(one) && isMap(other)) return formatValue(one) === formatValue(other);
  return one === other;
}
