import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { describe, expect, test } from 'vitest';
import { NotApplicable, type Rule } from '../../../src/authoring/conformance/rule.ts';
import { runRules } from '../../../src/authoring/conformance/run-rules.ts';
import { Subject } from '../../../src/authoring/conformance/subject.ts';
import { NotifierDefinition } from '../../../src/gen/spire/plugin/server/notifier/v1/notifier.ts';
import { hostTag } from '../../../src/plugin-host/sandbox/host-tag.ts';
import { parseTrustDomain } from '../../../src/spiffe/trust-domain.ts';
import { keepCompiledCode } from './compiled-code.ts';
import { defectivePlugin, tryPlugin } from './defective-plugin.ts';

// A plugin under test may do what it likes: the kit goes on, and says in which rule it did it.

keepCompiledCode();

const SLOW_MS = 120_000;
const BASE = { source: '§0', level: 'must', needs: 'configured', title: 'is tried' } as const;

function subjectOf(defect: string): Subject {
  return new Subject({
    ...defectivePlugin('notifier', defect),
    kind: { side: 'server', type: 'Notifier' },
    trustDomain: parseTrustDomain('example.org'),
    configText: '',
    metadata: [],
    handshakeDeadlineMs: 20_000,
  });
}

/** Tells the plugin of a bundle, which it takes as its defect says. */
const provoke = (id: string, deadlineMs: number): Rule => ({
  ...BASE,
  id,
  deadlineMs,
  async check(subject) {
    const client = await (await subject.ready()).client(NotifierDefinition);
    await client.notify({ event: { $case: 'bundleUpdated', value: { bundle: undefined } } });
    return undefined;
  },
});

const pidOf = (pids: number[]): Rule => ({
  ...BASE,
  id: 'look',
  async check(subject) {
    pids.push((await subject.ready()).trial.process.pid);
    return undefined;
  },
});

describe('a plugin that', () => {
  test(
    'crashes is started again, and the rule is named',
    async () => {
      const pids: number[] = [];
      await using subject = subjectOf('crash');
      const results = await runRules([pidOf(pids), provoke('provoke', 20_000), pidOf(pids)], subject);
      expect(results.map(({ verdict }) => verdict)).toEqual(['PASS', 'FAIL', 'PASS']);
      expect(results[1]).toMatchObject({ id: 'provoke', reason: expect.stringMatching(/ended by SIGSEGV/) });
      expect(pids[1]).not.toBe(pids[0]);
    },
    SLOW_MS,
  );

  test(
    'hangs is ended when the rule has run out of time, and started again',
    async () => {
      const pids: number[] = [];
      await using subject = subjectOf('hang');
      const results = await runRules([pidOf(pids), provoke('provoke', 1_000), pidOf(pids)], subject);
      expect(results.map(({ verdict }) => verdict)).toEqual(['PASS', 'FAIL', 'PASS']);
      expect(results[1]?.reason).toBe('expected an end within 1 s, came none: the plugin hangs');
      expect(pids[1]).not.toBe(pids[0]);
    },
    SLOW_MS,
  );

  test(
    'never says a handshake has everything else skipped that needs one',
    async () => {
      const { results, counts } = await tryPlugin('notifier', 'silent', { handshakeDeadlineMs: 500 });
      expect(results[0]).toMatchObject({
        verdict: 'FAIL',
        reason: expect.stringMatching(/no handshake .* within 0\.5 s/),
      });
      expect(counts.FAIL).toBe(1);
      const last = results.find(({ id }) => id === 'notifier.loaded');
      expect(last).toMatchObject({ verdict: 'SKIP', reason: 'it needs what failed in start.handshake' });
    },
    SLOW_MS,
  );

  test(
    'fills its log without end is tried nevertheless',
    async () => {
      const { counts } = await tryPlugin('notifier', 'floods-stderr', { only: ['start.handshake', 'notifier.loaded'] });
      expect(counts).toEqual({ PASS: 2, FAIL: 0, WARN: 0, SKIP: 0 });
    },
    SLOW_MS,
  );
});

test('a rule that does not apply is skipped, with its reason', async () => {
  const rule: Rule = {
    ...BASE,
    id: 'none',
    needs: 'alone',
    check: () => Promise.reject(new NotApplicable('it is without')),
  };
  await using subject = subjectOf('');
  await expect(runRules([rule], subject)).resolves.toMatchObject([{ verdict: 'SKIP', reason: 'it is without' }]);
});

test('nothing is left of what was tried', async () => {
  const names = await readdir(tmpdir());
  expect(names.filter((name) => name.startsWith(`assayer-${hostTag()}-`))).toEqual([]);
});
