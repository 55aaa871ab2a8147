import { TpmPool } from '../prover/tpm-pool.ts';
import type { Job, JobAnswer } from './job.ts';
import { measure } from './load.ts';
import { LOADS } from './loads.ts';

const tpms = new TpmPool();

async function run(job: Job): Promise<JobAnswer> {
  if (job.kind === 'make-tpms') {
    tpms.writeCa(job.caPath);
    return { kind: 'done' };
  }
  await using resources = new AsyncDisposableStack();
  const { call, operationsACall } = await LOADS[job.load]({
    target: job.target,
    tpms,
    callers: job.callers,
    resources,
  });
  const processes = [...job.processes, { name: 'driver', pid: process.pid }];
  const { callers, seconds, warmUpSeconds, intervalMs } = job;
  const options = {
    name: job.load,
    callers,
    seconds,
    warmUpSeconds,
    operationsACall,
    processes,
    ...(intervalMs === undefined ? {} : { intervalMs }),
  };
  return { kind: 'result', result: await measure(options, call) };
}

process.on('message', async (job: Job) => {
  let answer: JobAnswer;
  try {
    answer = await run(job);
  } catch (error) {
    answer = { kind: 'failed', reason: error instanceof Error ? String(error.stack) : String(error) };
  }
  process.send?.(answer);
});
