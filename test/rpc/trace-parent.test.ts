import { expect, test } from 'vitest';
import { formatTraceParent, parseTraceParent } from '../../src/rpc/trace-parent.ts';

// W3C Trace Context §3.2: traceparent.

const traceId = '0af7651916cd43dd8448eb211c80319c';
const spanId = 'b7ad6b7169203331';

const accepted = [
  ['sampled', `00-${traceId}-${spanId}-01`, true],
  ['not sampled', `00-${traceId}-${spanId}-00`, false],
  ['flags that nobody knows yet', `00-${traceId}-${spanId}-fe`, false],
  ['a later version with more', `cc-${traceId}-${spanId}-01-what-comes`, true],
] as const;
test.each(accepted)('takes %s', (_what, text, isSampled) => {
  expect(parseTraceParent(text)).toEqual({ traceId, spanId, isSampled });
});

const rejected = [
  ['nothing', ''],
  ['version ff', `ff-${traceId}-${spanId}-01`],
  ['version 00 with more', `00-${traceId}-${spanId}-01-more`],
  ['upper case', `00-${traceId.toUpperCase()}-${spanId}-01`],
  ['a trace ID of zeros', `00-${'0'.repeat(32)}-${spanId}-01`],
  ['a span ID of zeros', `00-${traceId}-${'0'.repeat(16)}-01`],
  ['a short trace ID', `00-${traceId.slice(1)}-${spanId}-01`],
  ['a long span ID', `00-${traceId}-${spanId}0-01`],
  ['no flags', `00-${traceId}-${spanId}`],
  ['two at once', `00-${traceId}-${spanId}-01,00-${traceId}-${spanId}-01`],
  ['a later version without end', `cc-${traceId}-${spanId}-01-${'x'.repeat(1_000_000)}`],
  ['a line feed', `00-${traceId}-${spanId}-01\n`],
] as const;
test.each(rejected)('does not take %s', (_what, text) => {
  expect(parseTraceParent(text)).toBeUndefined();
});

test('writes version 00', () => {
  const text = `00-${traceId}-${spanId}-01`;
  expect(formatTraceParent({ traceId, spanId, isSampled: true })).toBe(text);
});
