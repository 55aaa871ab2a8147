import { WorkloadPIDReference } from '../../gen/spiffe/broker/broker.ts';
import type { WorkloadAttestor, WorkloadReference } from '../../plugin-host/kinds/workload-attestor.ts';
import { REFERENCE_TYPES } from '../../rpc/go-plugin.ts';
import { statusOf } from '../../rpc/status.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import type { Selector } from '../../spiffe/selector.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import { Status } from '../../spiffe/status.ts';
import { type HeldProcess, holdProcess } from '../delegation/held-process.ts';
import { isSameSet } from '../workloads/follow-workload.ts';
import { MAX_KNOWN_MS } from '../workloads/known-selectors.ts';

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
    const pid = decodePid(value);
    // Packed anew: a plugin may read other bytes in another way, and so of another process.
    const packed = { typeUrl, value: WorkloadPIDReference.encode({ pid }).finish() };
    return await holdProcess(pid, () => askAttestors(packed, options));
  }
  const selectors = await askAttestors(reference, options);
  return new HeldReference(reference, selectors, options);
}

/** What somebody refers to that is no process of ours, as long as attestors say the same of it. */
class HeldReference implements HeldProcess {
  readonly selectors: readonly Selector[];
  readonly #reference: WorkloadReference;
  readonly #options: AttestReferenceOptions;
  readonly #disposed = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #foundAt = performance.now();
  #failure: { readonly reason: unknown } | undefined;

  constructor(reference: WorkloadReference, selectors: readonly Selector[], options: AttestReferenceOptions) {
    this.selectors = selectors;
    this.#reference = reference;
    this.#options = options;
    this.#schedule();
  }

  /** @throws what it was refused with; SpiffeError `REPLACED` once it has other selectors. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure.reason;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#disposed.abort();
  }

  #schedule(): void {
    const { reattestSeconds } = this.#options;
    if (reattestSeconds === 0 || this.#disposed.signal.aborted) return;
    this.#timer = setTimeout(() => void this.#attest(), reattestSeconds * 1000).unref();
  }

  async #attest(): Promise<void> {
    try {
      const signal = AbortSignal.any([this.#options.signal, this.#disposed.signal]);
      const found = await askAttestors(this.#reference, { ...this.#options, signal });
      this.#foundAt = performance.now();
      if (isSameSet(found, this.selectors)) return this.#schedule();
      this.#failure = { reason: new SpiffeError('REPLACED', 'the workload has become another one: ask again') };
    } catch (reason) {
      // While attestors cannot say anything, what they said before holds for a while.
      const holds = performance.now() - this.#foundAt <= MAX_KNOWN_MS;
      if (holds && statusOf(reason) !== Status.NotFound) return this.#schedule();
      this.#failure = { reason };
    }
  }
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

function decodePid(value: Uint8Array): number {
  try {
    return WorkloadPIDReference.decode(value).pid;
  } catch (cause) {
    throw new SpiffeError('ARGUMENT_INVALID', 'the reference to a process does not parse', { cause });
  }
}
