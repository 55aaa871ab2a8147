/** One dimension of a metric. */
export interface Label {
  readonly name: string;
  readonly value: string;
}

/**
 * Names and values as SPIRE writes them: what is no letter, digit or underscore becomes one underscore, so that
 * `example.org` is `example_org`.
 */
export function toSpireLabel({ name, value }: Label): Label {
  return { name: sanitize(name), value: sanitize(value) };
}

function sanitize(text: string): string {
  return text.replace(/\W+_?/g, '_');
}

/** Those that Prometheus gives a meaning of their own, or keeps for itself. */
const RESERVED = /^(le|quantile|__.*)$/;

/** @see https://prometheus.io/docs/concepts/data_model/ */
export function isLabelName(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !RESERVED.test(name);
}

/** Labels as the text format has them, in the order of their names; of two with one name the later counts. */
export function formatLabels(labels: readonly Label[]): string {
  const values = new Map(labels.map(({ name, value }) => [name, value]));
  const names = [...values.keys()].sort();
  return names.map((name) => `${name}="${escapeValue(values.get(name) ?? '')}"`).join(',');
}

function escapeValue(value: string): string {
  return value.toWellFormed().replace(/[\\"\n]/g, (character) => (character === '\n' ? '\\n' : `\\${character}`));
}
