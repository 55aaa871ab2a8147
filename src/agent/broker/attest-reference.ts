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
  /** How often what is no process is attested again; 0: never. */
  readonly reattestSeconds: number;
}

/** Longer is no name of anything. */
const MAX_REFERENCE_BYTES = 16 * 1024;

/**
 * What the workload is that somebody refers to. A process is held by a pidfd; others are attested
 * again and again, and let go of once they are gone or something else.
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
    return await holdProcess(pid, () => askAttestors(packed, options));
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
    attest: (signal) => askAttestors(reference, { ...options, signal }),
    seconds: options.reattestSeconds,
    isSilence: (error) => statusOf(error) !== Status.NotFound,
    call: options.signal,
  });
  const check = () => {
    if (again.next !== undefined) {
      throw new SpiffeError('REPLACED', 'the workload has become another one: ask again');
    }
  };
  return { selectors, check, [Symbol.dispose]: () => again[Symbol.dispose]() };
}

async function askAttestors(
  reference: WorkloadReference,
  { attestors, callerId, signal }: AttestReferenceOptions,
): Promise<readonly Selector[]> {
  const results = await Promise.allSettled(
    attestors.map((attestor) => attestor.attestReference(reference, { callerId, signal })),
  );
  const found = results.flatMap((result) => (result.status === 'fulfilled' && result.value ? [result.value] : []));
  if (found.length > 0) return found.flat();
  const failures = results.flatMap((result): unknown[] => (result.status === 'rejected' ? [result.reason] : []));
  if (failures.length === 0) {
    throw new SpiffeError('UNIMPLEMENTED', 'no workload attestor of this agent takes references of this type');
  }
  // A plugin that does not know the type refuses it like that; the word of one that does comes first.
  throw failures.find((failure) => statusOf(failure) !== Status.InvalidArgument) ?? failures[0];
}
