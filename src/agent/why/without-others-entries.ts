import type { WorkloadFacts } from './workload-facts.ts';

/** What everybody may know who may ask about the workload: not which entries there are for others. */
export function withoutOthersEntries(facts: WorkloadFacts): WorkloadFacts {
  const own = facts.entries.filter(({ matches }) => matches);
  return { ...facts, entries: own, entriesLeftOut: facts.entriesLeftOut + facts.entries.length - own.length };
}
