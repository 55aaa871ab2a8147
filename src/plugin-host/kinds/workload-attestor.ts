import { WorkloadAttestorDefinition } from '../../gen/spire/plugin/agent/workloadattestor/v1/workloadattestor.ts';
import { BROKER_CALLER_METADATA, REFERENCE_TYPES } from '../../rpc/go-plugin.ts';
import { decodeProcessReference, processReference } from '../../rpc/process-reference.ts';
import { RemoteError } from '../../rpc/status.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import type { Selector } from '../../spiffe/selector.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import { Status } from '../../spiffe/status.ts';
import { type Plugin, PluginService } from '../plugin.ts';
import type { PluginGeneration } from '../plugin-generation.ts';
import { pluginSelectors } from './plugin-selectors.ts';

/** Finds out what a workload on this node is. */
export interface WorkloadAttestor {
  readonly name: string;
  /** @returns what it found, of the attestor's name as type; nothing where it has nothing to say of such a process. */
  attest(pid: number, signal: AbortSignal): Promise<readonly Selector[]>;
  /**
   * The same for a workload that somebody refers to in another way than by being it.
   *
   * @returns undefined where the plugin takes no references of any kind but processes; one that takes references, not
   * this one, refuses it with `INVALID_ARGUMENT`.
   */
  attestReference(
    reference: WorkloadReference,
    options: AttestReferenceOptions,
  ): Promise<readonly Selector[] | undefined>;
}

/** A packed message that says which workload is meant. */
export interface WorkloadReference {
  /** Such as `type.googleapis.com/spiffe.broker.WorkloadPIDReference`. */
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

export interface AttestReferenceOptions {
  /** Who asks on behalf of the workload, where somebody does. */
  readonly callerId?: SpiffeId;
  readonly signal: AbortSignal;
}

/** Where the configuration says nothing; SPIRE has none of its own. */
const DEFAULT_TIMEOUT_SECONDS = 30;
const MAX_PID = 2 ** 31 - 1;

/** @see plugin-wire §8.9 */
export function createWorkloadAttestor(plugin: Plugin): WorkloadAttestor {
  const deadlineMs = () => (plugin.spec.attestTimeoutSeconds ?? DEFAULT_TIMEOUT_SECONDS) * 1000;
  const toSelectors = (values: readonly string[]) => pluginSelectors(plugin, values);
  return {
    name: plugin.name,
    attest: async (pid, signal) => {
      requirePid(pid);
      return await plugin.run(
        async (generation) => toSelectors(await attest(generation, pid, { signal, deadlineMs: deadlineMs() })),
        {
          repeatable: true,
          signal,
        },
      );
    },
    attestReference: async (reference, options) => {
      const pid = pidOf(reference);
      return await plugin.run(
        async (generation) => {
          const callOptions = { signal: options.signal, deadlineMs: deadlineMs() };
          const values = await attestReference(generation, reference, pid, options.callerId, callOptions);
          return values && toSelectors(values);
        },
        { repeatable: true, signal: options.signal },
      );
    },
  };
}

const service = new PluginService(WorkloadAttestorDefinition);
/** Generations that have `AttestReference` alone. */
const referenceOnly = new WeakSet<PluginGeneration>();
/** Generations that have `Attest` alone. */
const pidOnly = new WeakSet<PluginGeneration>();

interface Limits {
  readonly signal: AbortSignal;
  readonly deadlineMs: number;
}

async function attest(generation: PluginGeneration, pid: number, options: Limits): Promise<readonly string[]> {
  const client = service.of(generation);
  if (!referenceOnly.has(generation)) {
    try {
      return (await client.attest({ pid }, options)).selectorValues;
    } catch (error) {
      if (!isUnimplemented(error)) throw error;
    }
  }
  const { selectorValues } = await client.attestReference({ reference: processReference(pid) }, options);
  referenceOnly.add(generation);
  return selectorValues;
}

/** @param pid where the reference is to a process. */
async function attestReference(
  generation: PluginGeneration,
  { typeUrl, value }: WorkloadReference,
  pid: number | undefined,
  callerId: SpiffeId | undefined,
  options: Limits,
): Promise<readonly string[] | undefined> {
  const client = service.of(generation);
  if (!pidOnly.has(generation)) {
    const metadata = callerId === undefined ? {} : { [BROKER_CALLER_METADATA]: callerId };
    try {
      return (await client.attestReference({ reference: { typeUrl, value } }, { ...options, metadata })).selectorValues;
    } catch (error) {
      if (!isUnimplemented(error)) throw error;
    }
  }
  if (pid === undefined) return undefined;
  const { selectorValues } = await client.attest({ pid }, options);
  pidOnly.add(generation);
  return selectorValues;
}

function isUnimplemented(error: unknown): boolean {
  return error instanceof RemoteError && error.status === Status.Unimplemented;
}

/** @throws SpiffeError `ARGUMENT_INVALID` for a reference to a process that does not parse, or to none that can be. */
function pidOf({ typeUrl, value }: WorkloadReference): number | undefined {
  if (typeUrl !== REFERENCE_TYPES.process) return undefined;
  const pid = decodeProcessReference(value);
  requirePid(pid);
  return pid;
}

function requirePid(pid: number): void {
  if (!Number.isInteger(pid) || pid < 1 || pid > MAX_PID) {
    throw new SpiffeError('ARGUMENT_INVALID', `process ID ${pid} is not a number from 1 to ${MAX_PID}`);
  }
}
