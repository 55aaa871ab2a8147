import type { Peaks } from '../../plugin-host/sandbox/sightings.ts';
import type { SuggestedLimits } from './suggestion.ts';

const MEBIBYTE = 2 ** 20;
const MEMORY_STEP = 64 * MEBIBYTE;
const LEAST: SuggestedLimits = { memoryBytes: 128 * MEBIBYTE, processes: 32, files: 256 };

/** More than was used at most, rounded up: a run that was watched is a short one. */
export function suggestLimits({ memoryBytes, processes, files }: Peaks): SuggestedLimits {
  return {
    memoryBytes: Math.max(LEAST.memoryBytes, Math.ceil((1.5 * memoryBytes) / MEMORY_STEP) * MEMORY_STEP),
    processes: Math.max(LEAST.processes, powerOfTwoAbove(2 * processes)),
    files: Math.max(LEAST.files, powerOfTwoAbove(2 * files)),
  };
}

function powerOfTwoAbove(count: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, count)));
}
