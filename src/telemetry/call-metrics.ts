import type { Label } from './label.ts';
import type { Metrics } from './metrics.ts';
import { rpcKey } from './rpc-key.ts';
import type { Counter, Histogram } from './series.ts';

/** Told when a call has ended, with its gRPC status code and how long it took. */
export type CallMeter = (status: number, elapsedMs: number) => void;

/** As Go's gRPC writes them, and so SPIRE. By number. */
const STATUS_NAMES = [
  'OK',
  'Canceled',
  'Unknown',
  'InvalidArgument',
  'DeadlineExceeded',
  'NotFound',
  'AlreadyExists',
  'PermissionDenied',
  'ResourceExhausted',
  'FailedPrecondition',
  'Aborted',
  'OutOfRange',
  'Unimplemented',
  'Internal',
  'Unavailable',
  'DataLoss',
  'Unauthenticated',
];

/**
 * SPIRE's call counter: `<key>` counts, `<key>.elapsed_time` has milliseconds, both with the label `status`. A call costs two
 * additions; what it is added to is found once a status.
 */
export function callMeter(metrics: Metrics, key: readonly string[], labels: readonly Label[] = []): CallMeter {
  const series: { readonly calls: Counter; readonly elapsed: Histogram }[] = [];
  const open = (status: number) => {
    const all = [...labels, { name: 'status', value: STATUS_NAMES[status] ?? `Code_${status}` }];
    const opened = {
      calls: metrics.counter(key, all),
      elapsed: metrics.histogram([...key, 'elapsed_time'], all),
    };
    series[status] = opened;
    return opened;
  };
  return (status, elapsedMs) => {
    const { calls, elapsed } = series[status] ?? open(status);
    calls.add(1);
    elapsed.observe(elapsedMs);
  };
}

/** A meter a method of a server's APIs: inventory M001, M062. */
export function rpcMeters(metrics: Metrics): (path: string) => CallMeter {
  return (path) => callMeter(metrics, rpcKey(path));
}
