import { WorkloadPIDReference } from '../gen/spiffe/broker/broker.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { REFERENCE_TYPES } from './go-plugin.ts';

/** What refers to the process with that number. */
export function processReference(pid: number): { readonly typeUrl: string; readonly value: Uint8Array } {
  return { typeUrl: REFERENCE_TYPES.process, value: WorkloadPIDReference.encode({ pid }).finish() };
}

/** The number that such a reference has, which may be any. @throws SpiffeError `ARGUMENT_INVALID` where it does not parse */
export function decodeProcessReference(value: Uint8Array): number {
  try {
    return WorkloadPIDReference.decode(value).pid;
  } catch (cause) {
    throw new SpiffeError('ARGUMENT_INVALID', 'the reference to a process does not parse', { cause });
  }
}
