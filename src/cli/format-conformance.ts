import type { ConformanceReport, RuleResult } from '../authoring/conformance/index.ts';
import { formatCount, onOneLine } from './output.ts';

const WIDTH = 37;

/** `PASS  start.handshake  writes … (§2)`, with the reason behind a colon. */
export function formatResult({ verdict, id, title, source, reason }: RuleResult): string {
  return `${verdict}  ${id.padEnd(WIDTH)}  ${title} (${source})${reason === undefined ? '' : `: ${onOneLine(reason)}`}\n`;
}

export function formatCounts({ results, counts }: ConformanceReport): string {
  const { PASS, FAIL, WARN, SKIP } = counts;
  const rules = formatCount(results.length, 'rule', 'rules');
  return `${rules}: ${PASS} passed, ${FAIL} failed, ${formatCount(WARN, 'warning', 'warnings')}, ${SKIP} skipped\n`;
}
