import { expect, test } from 'vitest';
import { formatApplied } from '../../src/cli/print-applied.ts';
import { Change_Kind as Kind } from '../../src/gen/assayer/server/apply/v1/apply.ts';
import { Entry } from '../../src/gen/spire/api/types/types.ts';

test('no text of an entry speaks to the terminal', () => {
  const before = Entry.fromPartial({ hint: 'a\u009b2J', dnsNames: ['\u202eb'] });
  const after = Entry.fromPartial({ hint: 'c', dnsNames: [] });
  const change = { kind: Kind.UPDATE, before, after, fields: ['hint', 'dns_names'] };
  const answer = { changes: [change], unchanged: 0, notPruned: 0, problems: [] };
  const text = formatApplied(answer, { set: 'default', prune: false, adopt: false, dryRun: true });
  expect(text).toContain('hint: "a\\u009b2J" > "c"');
  expect(text).toContain('dns_names: ["\\u202eb"] > []');
});
