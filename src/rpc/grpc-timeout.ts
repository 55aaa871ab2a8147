const UNITS_MS: ReadonlyMap<string, number> = new Map([
  ['H', 3_600_000],
  ['M', 60_000],
  ['S', 1_000],
  ['m', 1],
  ['u', 0.001],
  ['n', 0.000_001],
]);
/** What a timer of Node takes. */
const MAX_MS = 2 ** 31 - 1;

/** `grpc-timeout` in whole milliseconds. Source: gRPC over HTTP/2, "Timeout". */
export function parseTimeout(value: string | readonly string[] | undefined): number | undefined {
  if (typeof value !== 'string') return undefined;
  const [, digits = '', unit = ''] = /^(\d{1,8})([HMSmun])$/.exec(value) ?? [];
  return Math.min(Math.floor(Number(digits) * (UNITS_MS.get(unit) ?? 0)), MAX_MS);
}

export function isTimeout(value: string | readonly string[] | undefined): boolean {
  return value === undefined || (typeof value === 'string' && /^\d{1,8}[HMSmun]$/.test(value));
}
