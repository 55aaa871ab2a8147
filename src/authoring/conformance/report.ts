import type { PluginKind } from '../trial/offered-kinds.ts';
import type { Rule } from './rule.ts';

export type Verdict = 'PASS' | 'FAIL' | 'WARN' | 'SKIP';

/** What became of one rule. */
export interface RuleResult extends Pick<Rule, 'id' | 'title' | 'source' | 'level'> {
  readonly verdict: Verdict;
  /** What was expected and what came, why it was not tried, or what there is to add. */
  readonly reason?: string;
  readonly milliseconds: number;
}

export interface ConformanceReport {
  readonly command: string;
  readonly args: readonly string[];
  readonly kind: PluginKind;
  readonly results: readonly RuleResult[];
  readonly counts: Readonly<Record<Verdict, number>>;
}
