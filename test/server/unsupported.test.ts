import { expect, test } from 'vitest';
import { findUnsupported } from '../../src/server/unsupported.ts';
import { readServerConfigText } from '../config/read-text.ts';
import { serverText } from '../config/server-text.ts';

test.each([
  ['', []],
  ['audit_log_enabled = true', []],
  ['profiling_enabled = true', []],
  ['experimental { wit_issuer = "https://example.org" }', ['server.experimental.wit_issuer']],
  ['experimental { feature_flags = ["wit-svid"] }', ['server.experimental.feature_flags: wit-svid']],
])('what nothing comes of is told: %s', (settings, keys) => {
  expect(findUnsupported(readServerConfigText(serverText(settings)))).toEqual(keys);
});
