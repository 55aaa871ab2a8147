import { messageOf } from '../../spiffe/error.ts';
import type { RuleResult, Verdict } from './report.ts';
import { Doubt, NotApplicable, type Rule, STAGES, type Stage } from './rule.ts';
import type { Subject } from './subject.ts';

/** A rule that has not come to an end by then has failed. */
const RULE_MS = 60_000;
/** Longer reasons are cut: a plugin may have written them. */
const MAX_REASON_CHARACTERS = 2_000;

interface Finding {
  readonly verdict: Verdict;
  readonly reason?: string | undefined;
}

/**
 * Tries each rule in turn, and tells of each at once. A plugin that hangs or crashes in one is started again for the
 * next; what cannot be tried because of a rule that failed is skipped.
 */
export async function runRules(
  rules: readonly Rule[],
  subject: Subject,
  onResult: (result: RuleResult) => void = () => {},
): Promise<readonly RuleResult[]> {
  const results: RuleResult[] = [];
  let closed: { readonly stage: Stage; readonly by: Rule } | undefined;
  for (const rule of rules) {
    const startedAtMs = performance.now();
    const isClosed = closed !== undefined && STAGES.indexOf(rule.needs) >= STAGES.indexOf(closed.stage);
    const { verdict, reason } = isClosed
      ? ({ verdict: 'SKIP', reason: `it needs what failed in ${closed?.by.id}` } as const)
      : await tryRule(rule, subject);
    if (verdict === 'FAIL' && rule.opens !== undefined) closed ??= { stage: rule.opens, by: rule };
    const { id, title, source, level } = rule;
    const milliseconds = Math.round(performance.now() - startedAtMs);
    const result: RuleResult = {
      ...{ id, title, source, level, verdict, milliseconds },
      ...(reason === undefined ? {} : { reason: cut(reason) }),
    };
    results.push(result);
    onResult(result);
  }
  return results;
}

async function tryRule(rule: Rule, subject: Subject): Promise<Finding> {
  const finding = await withinDeadline(rule, subject);
  const crash = await subject.endRule();
  if (crash === undefined) return finding;
  const before = finding.verdict === 'FAIL' ? `${finding.reason}; ` : '';
  return { verdict: 'FAIL', reason: `${before}${crash}` };
}

async function withinDeadline(rule: Rule, subject: Subject): Promise<Finding> {
  const { deadlineMs = RULE_MS } = rule;
  const late = Promise.withResolvers<Finding>();
  const timer = setTimeout(async () => {
    const seconds = deadlineMs / 1_000;
    late.resolve({ verdict: 'FAIL', reason: `expected an end within ${seconds} s, came none: the plugin hangs` });
    await subject.abandon();
  }, deadlineMs);
  try {
    return await Promise.race([judge(rule, subject), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

async function judge(rule: Rule, subject: Subject): Promise<Finding> {
  try {
    return { verdict: 'PASS', reason: await rule.check(subject) };
  } catch (error) {
    const reason = messageOf(error);
    if (error instanceof NotApplicable) return { verdict: 'SKIP', reason };
    if (error instanceof Doubt) return { verdict: 'WARN', reason };
    return { verdict: rule.level === 'must' ? 'FAIL' : 'WARN', reason };
  }
}

function cut(reason: string): string {
  const line = reason.replaceAll(/\s*\n\s*/g, ' ');
  return line.length <= MAX_REASON_CHARACTERS ? line : `${line.slice(0, MAX_REASON_CHARACTERS)}…`;
}
