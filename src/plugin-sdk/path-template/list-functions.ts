import { listIn, numberIn, type TemplateFunctions, taking, takingMany, textIn } from './template-function.ts';
import {
  compareText,
  entryOf,
  equalValues,
  formatValue,
  isList,
  isMap,
  isTrue,
  kindOf,
  type TemplateMap,
  type TemplateValue,
  templateFailure,
} from './values.ts';

const first = taking(1, ([list]) => listIn(list, 'first')[0]);
const last = taking(1, ([list]) => listIn(list, 'last').at(-1));
const rest = taking(1, ([list]) => listIn(list, 'rest').slice(1));
const initial = taking(1, ([list]) => listIn(list, 'initial').slice(0, -1));
const append = taking(2, ([list, value]) => [...listIn(list, 'append'), value]);
const prepend = taking(2, ([list, value]) => [value, ...listIn(list, 'prepend')]);
const reverse = taking(1, ([list]) => listIn(list, 'reverse').toReversed());
const compact = taking(1, ([list]) => listIn(list, 'compact').filter(isTrue));
const uniq = taking(1, ([list]) => unique(listIn(list, 'uniq')));
const without = takingMany(1, ([list, ...omitted]) =>
  listIn(list, 'without').filter((value) => !omitted.some((other) => equalValues(value, other))),
);
const has = taking(2, ([wanted, list]) =>
  list === undefined ? false : listIn(list, 'has').some((value) => equalValues(value, wanted)),
);
const slice = takingMany(1, ([list, ...bounds]) => sliceOf(listIn(list, 'slice'), bounds));
const list = takingMany(0, (values) => values);

/** Functions of lists, maps and of whatever there is. Source: the Sprig documentation. */
export const LIST_FUNCTIONS: TemplateFunctions = {
  list,
  tuple: list,
  first,
  mustFirst: first,
  last,
  mustLast: last,
  rest,
  mustRest: rest,
  initial,
  mustInitial: initial,
  append,
  push: append,
  mustAppend: append,
  mustPush: append,
  prepend,
  mustPrepend: prepend,
  reverse,
  mustReverse: reverse,
  compact,
  mustCompact: compact,
  uniq,
  mustUniq: uniq,
  without,
  mustWithout: without,
  has,
  mustHas: has,
  slice,
  mustSlice: slice,
  concat: takingMany(0, (lists) => lists.flatMap((value) => listIn(value, 'concat'))),
  join: taking(2, ([separator, value]) => textsOf(value).join(textIn(separator, 'join'))),
  toStrings: taking(1, ([value]) => textsOf(value)),
  sortAlpha: taking(1, ([value]) => textsOf(value).toSorted(compareText)),
  get: taking(2, ([map, key]) => entryOf(mapIn(map, 'get'), textIn(key, 'get'))?.value ?? ''),
  hasKey: taking(2, ([map, key]) => entryOf(mapIn(map, 'hasKey'), textIn(key, 'hasKey')) !== undefined),
  default: { min: 1, max: 2, call: ([fallback, given]) => (isTrue(given) ? given : fallback) },
  empty: taking(1, ([value]) => !isTrue(value)),
  coalesce: takingMany(0, (values) => values.find(isTrue)),
  all: takingMany(0, (values) => values.every(isTrue)),
  any: takingMany(0, (values) => values.some(isTrue)),
  ternary: taking(3, ([yes, no, condition]) => {
    if (typeof condition === 'boolean') return condition ? yes : no;
    throw templateFailure(`"ternary" is given ${kindOf(condition)}, where true or false has to stand`);
  }),
};

function textsOf(value: TemplateValue): readonly string[] {
  if (!isList(value)) return value === undefined ? [] : [formatValue(value)];
  return value.filter((element) => element !== undefined).map(formatValue);
}

function unique(values: readonly TemplateValue[]): readonly TemplateValue[] {
  return values.filter((value, index) => values.findIndex((other) => equalValues(value, other)) === index);
}

function sliceOf(values: readonly TemplateValue[], bounds: readonly TemplateValue[]): readonly TemplateValue[] {
  const [start = 0, end = values.length, ...others] = bounds.map((bound) => numberIn(bound, 'slice'));
  if (others.length === 0 && 0 <= start && start <= end && end <= values.length) return values.slice(start, end);
  throw templateFailure(`"slice" is asked for ${bounds.map(formatValue).join(' to ')} of ${values.length} elements`);
}

function mapIn(value: TemplateValue, name: string): TemplateMap {
  if (isMap(value)) return value;
  throw templateFailure(`"${name}" is given ${kindOf(value)}, where a map has to stand`);
}
