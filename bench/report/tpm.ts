import type { AttestationResults, LoadResult, Machine } from '../results.ts';
import { loadsTable, machineLine, momentsTable } from './tables.ts';

export interface TpmResults {
  readonly evidence: readonly LoadResult[];
  readonly attestations: AttestationResults;
}

/** Tables of what was measured. */
export function formatTpm(
  { evidence, attestations }: TpmResults,
  machine: Machine,
  takenAt: string,
  seconds: number,
): string {
  const sections = [
    ['In one process', loadsTable(evidence)],
    ['At a whole server, over connections that are kept', loadsTable(attestations.loads)],
    ['Memory of the server and its plugins meanwhile, MiB', momentsTable(attestations.memory, 'server-tpm')],
  ].flatMap(([title, text]) => (text === '' ? [] : [`#### ${title}\n\n${text}`]));
  return `${[machineLine(machine, takenAt, `${seconds} s each; `), ...sections].join('\n\n')}\n`;
}
