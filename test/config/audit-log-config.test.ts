import { expect, test } from 'vitest';
import { readServerConfigText } from './read-text.ts';
import { serverText } from './server-text.ts';

const read = (lines: string) => readServerConfigText(serverText(lines)).auditLogSkip;

test('what the audit log leaves out is read', () => {
  const text = `audit_log {
    skip "syncs" { methods = ["entries:sync"] callers = ["agent"] status = ["success"] }
    skip "monitor" { callers = ["spiffe://example.org/monitor"] }
  }`;
  expect(read(text)).toEqual([
    {
      name: 'syncs',
      methods: [
        '/spire.api.server.entry.v1.Entry/GetAuthorizedEntries',
        '/spire.api.server.entry.v1.Entry/SyncAuthorizedEntries',
      ],
      callers: ['agent'],
      status: ['success'],
    },
    { name: 'monitor', methods: undefined, callers: ['spiffe://example.org/monitor'], status: undefined },
  ]);
  expect(read('')).toEqual([]);
});

test.each([
  ['skip "a" {}', /skip\.a: would leave out everything/],
  ['skip "a" { methods = ["entries:snyc"] }', /methods\[0\]: is neither a group .* did you mean "entries:sync"/],
  ['skip "a" { methods = [] }', /must name one method or group at least/],
  ['skip "a" { callers = ["root"] }', /callers\[0\]: must be one of "nobody", "local"/],
  ['skip "a" { status = ["ok"] }', /status\[0\]: must be one of "success", "error"/],
  ['only "a" { status = ["error"] }', /audit_log\.only: is not a known key/],
])('a mistake is named: %s', (text, message) => {
  expect(() => read(`audit_log { ${text} }`)).toThrow(message);
});
