import type { ChaosSummary } from './run-chaos.ts';

/** What happened, and in the last line what came of it. */
export function formatSummary(summary: ChaosSummary, seed: number): string {
  const { rounds, violations, broken, told, wellAfterMs, agentBackMs } = summary;
  const table = (counts: ReadonlyMap<string, number>) =>
    [...counts]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([what, count]) => `  ${String(count).padStart(8)}  ${what}\n`);
  return [
    'broken:\n',
    ...table(broken),
    'told to workloads:\n',
    ...table(told),
    `well again after: ${spread(wellAfterMs)}\n`,
    `agent killed, from its start to the first answer: ${spread(agentBackMs)}\n`,
    `chaos: seed ${seed}, ${rounds} rounds, ${sum(broken)} breakages, ${sum(told)} answers checked, ${violations.length} violations\n`,
  ].join('');
}

function spread(milliseconds: readonly number[]): string {
  if (milliseconds.length === 0) return 'never';
  const sorted = milliseconds.toSorted((a, b) => a - b);
  return `median ${sorted[Math.floor(sorted.length / 2)]} ms, longest ${sorted.at(-1)} ms, of ${sorted.length}`;
}

function sum(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((total, count) => total + count, 0);
}
