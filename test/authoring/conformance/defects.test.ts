import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RULE_GROUPS, rulesFor } from '../../../src/authoring/conformance/index.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../harness/temporary-folder.ts';
import { keepCompiledCode } from './compiled-code.ts';
import { KINDS, type KindName, tryPlugin } from './defective-plugin.ts';
import { ATTESTOR_DEFECTS, type Defect, KIND_DEFECTS, LAYER_DEFECTS } from './defects.ts';

// Every rule is seen to fail: by a plugin with one defect, and by no other that is without it.

const SLOW_MS = 120_000;

keepCompiledCode();

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await createTemporaryFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

const ALL = [...LAYER_DEFECTS, ...KIND_DEFECTS, ...ATTESTOR_DEFECTS];

test('no rule is without a plugin that breaks it', () => {
  const rules = RULE_GROUPS.flatMap((group) => group.rules.map(({ id }) => id));
  const broken = new Set(ALL.map(([rule]) => rule));
  expect(rules.filter((rule) => !broken.has(rule))).toEqual([]);
  expect(new Set(rules).size).toBe(rules.length);
});

/** The log is looked at when the plugin has run for something else. */
const rulesToTry = (rule: string) => (rule.startsWith('log.') ? ['start.handshake', rule] : [rule]);

describe.each([
  ['what every plugin has', LAYER_DEFECTS],
  ['what a kind has', KIND_DEFECTS],
  ['node attestors', ATTESTOR_DEFECTS],
])('%s', (_what, defects: readonly Defect[]) => {
  test.concurrent.each(defects)(
    '%s: %s with the defect %s',
    async (rule, kind, defect, verdict, reason) => {
      const file = folder.join(defect);
      const { results } = await tryPlugin(kind, defect, { only: rulesToTry(rule), file });
      expect(results.at(-1)).toMatchObject({ id: rule, verdict, reason: expect.stringMatching(reason) });
    },
    SLOW_MS,
  );
});

describe('a plugin that is as it should be', () => {
  const kinds = Object.keys(KINDS) as KindName[];

  test.concurrent.each(kinds)(
    '%s keeps every rule',
    async (kind) => {
      const { results, counts } = await tryPlugin(kind, '');
      expect(results.filter(({ verdict }) => verdict === 'FAIL' || verdict === 'WARN')).toEqual([]);
      const skipped = results.filter(({ verdict }) => verdict === 'SKIP').map(({ id }) => id);
      expect(skipped.filter((id) => !id.startsWith('pair.'))).toEqual(['auto-mtls.works']);
      expect(counts.PASS).toBe(rulesFor(KINDS[kind]).length - skipped.length);
    },
    SLOW_MS,
  );
});
