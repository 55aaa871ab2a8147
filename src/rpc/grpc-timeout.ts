const UNITS_MS: ReadonlyMap<string, number> = new Map([
  ['H', 3_600_000],
  ['M', 60_000],
  ['S', 1_000],
  ['m', 1],
  ['u', 0.001],
  ['n', 0.000_001],
]);

/**
 * Milliseconds from now; `Infinity` where there is no header.
 *
 * @param header `grpc-timeout`, as it came
 * @returns undefined for what is none
 * @see https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md Timeout
 */
export function findTimeoutMs(header: string | readonly string[] | undefined): number | undefined {
  if (header === undefined) return Number.POSITIVE_INFINITY;
  if (typeof header !== 'string') return undefined;
  const [, digits = '', unit = ''] = /^(\d{1,8})([HMSmun])$/.exec(header) ?? [];
  const unitMs = UNITS_MS.get(unit);
  return unitMs === undefined ? undefined : Math.floor(Number(digits) * unitMs);
}
