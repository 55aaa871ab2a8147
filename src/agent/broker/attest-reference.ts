import type { WorkloadAttestor, WorkloadReference } from '../../plugin-host/kinds/workload-attestor.ts';
import { REFERENCE_TYPES } from '../../rpc/go-plugin.ts';
import { decodeProcessReference, processReference } from '../../rpc/process-reference.ts';
import { statusOf } from '../../rpc/status.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import type { Selector } from '../../spiffe/selector.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import { Status } from '../../spiffe/status.ts';
import { type HeldProcess, holdProcess } from '../delegation/held-process.ts';
import { Reattestation } from '../workloads/reattestation.ts';

export interface AttestReferenceOptions {
  readonly attestors: readonly WorkloadAttestor[];
  readonly callerId: SpiffeId;
  readonly signal: AbortSignal;
  /** How often the workload is attested again; 0: never. */
  readonly reattestSeconds: number;
}

/** Longer is no name of anything. */
const MAX_REFERENCE_BYTES = 16 * 1024;

/**
 * What the workload is that somebody refers to. It is attested again and again, and let go of once it is gone or something
 * else; a process is held by a pidfd, too.
 *
 * @throws SpiffeError `ARGUMENT_INVALID`, `WORKLOAD_NOT_FOUND`, `REPLACED`; `UNIMPLEMENTED` where no attestor takes such a
 *   reference; what an attestor refuses it with where none found anything.
 */
export async function attestReference(
  reference: WorkloadReference,
  options: AttestReferenceOptions,
): Promise<HeldProcess> {
  const { typeUrl, value } = reference;
  if (value.length > MAX_REFERENCE_BYTES) {
    throw new SpiffeError('ARGUMENT_INVALID', `a reference of ${value.length} bytes is too long`);
  }
  // Plugins may go by what follows the last slash alone: what is allowed by name, and held as a process, has but one name.
  if (!/^type\.googleapis\.com\/[\w.]+$/.test(typeUrl)) {
    throw new SpiffeError('ARGUMENT_INVALID', 'the type URL of a reference is "type.googleapis.com/" and a name');
  }
  if (typeUrl === REFERENCE_TYPES.process) {
    const pid = decodeProcessReference(value);
    // Packed anew: a plugin may read other bytes in another way, and so of another process.
    const packed = processReference(pid);
    const { reattestSeconds: seconds, signal: call } = options;
    let ask = askAttestors;
    const attest = async (_process: unknown, ending: AbortSignal) => {
      const found = await ask(packed, { ...options, signal: ending });
      ask = askAllAttestors;
      return found;
    };
    return await holdProcess(pid, attest, { seconds, isSilence, call });
  }
  const selectors = await askAttestors(reference, options);
  return holdReference(reference, selectors, options);
}

/** What somebody refers to that is no process of ours, as long as attestors say the same of it. */
function holdReference(
  reference: WorkloadReference,
  selectors: readonly Selector[],
  options: AttestReferenceOptions,
): HeldProcess {
  const again = new Reattestation({
    selectors,
    attest: (signal) => askAllAttestors(reference, { ...options, signal }),
    seconds: options.reattestSeconds,
    isSilence,
    call: options.signal,
  });
  const check = () => {
    if (again.next !== undefined) {
      throw new SpiffeError('REPLACED', 'the workload has become another one: ask again');
    }
  };
  return { selectors, check, [Symbol.dispose]: () => again[Symbol.dispose]() };
}

function isSilence(error: unknown): boolean {
  return statusOf(error) !== Status.NotFound;
}

interface Answers {
  readonly found: readonly (readonly Selector[])[];
  readonly failures: readonly unknown[];
}

async function askEach(
  reference: WorkloadReference,
  { attestors, callerId, signal }: AttestReferenceOptions,
): Promise<Answers> {
  const results = await Promise.allSettled(
    attestors.map((attestor) => attestor.attestReference(reference, { callerId, signal })),
  );
  return {
    found: results.flatMap((result) => (result.status === 'fulfilled' && result.value ? [result.value] : [])),
    failures: results.flatMap((result): unknown[] => (result.status === 'rejected' ? [result.reason] : [])),
  };
}

async function askAttestors(
  reference: WorkloadReference,
  options: AttestReferenceOptions,
): Promise<readonly Selector[]> {
  return selectorsOf(await askEach(reference, options));
}

/** For who has selectors of theirs: one that cannot say anything just now has not taken its own back. */
async function askAllAttestors(
  reference: WorkloadReference,
  options: AttestReferenceOptions,
): Promise<readonly Selector[]> {
  const answers = await askEach(reference, options);
  const silent = answers.failures.find((failure) => !REFUSALS.includes(statusOf(failure)));
  if (silent !== undefined) throw silent;
  return selectorsOf(answers);
}

const REFUSALS: readonly Status[] = [Status.InvalidArgument, Status.Unimplemented, Status.NotFound];

function selectorsOf({ found, failures }: Answers): readonly Selector[] {
  if (found.length > 0) return found.flat();
  if (failures.length === 0) {
    throw new SpiffeError('UNIMPLEMENTED', 'no workload attestor of this agent takes references of this type');
  }
  // A plugin that does not know the type refuses it like that; the word of one that does comes first.
  throw failures.find((failure) => statusOf(failure) !== Status.InvalidArgument) ?? failures[0];
}
