import { expect, test } from 'vitest';
import { requireAudience } from '../../src/agent/workload-api/require-audience.ts';

test.each([
  ['one', ['a']],
  ['as many as there may be', Array.from({ length: 128 }, (_, index) => `a${index}`)],
  ['as long as they may be', ['a'.repeat(8 * 1024), 'b'.repeat(8 * 1024)]],
])('takes %s', (_what, audience) => expect(() => requireAudience(audience)).not.toThrow());

test.each([
  ['none', [], /must be specified/],
  ['an empty one', ['a', ''], /must be specified/],
  ['more than a hundred and twenty-eight', Array.from({ length: 129 }, (_, index) => `a${index}`), /129 audiences/],
  ['one too long to be kept a thousand times', ['a'.repeat(16 * 1024 + 1)], /16385 bytes are too long/],
  ['several that are too long together, in bytes', ['ä'.repeat(8 * 1024), 'b'], /16385 bytes are too long/],
])('refuses %s', (_what, audience, message) => {
  expect(() => requireAudience(audience)).toThrow(
    expect.objectContaining({ code: 'ARGUMENT_INVALID', message: expect.stringMatching(message) }),
  );
});
