import { WorkloadPIDReference } from '../../gen/spiffe/broker/broker.ts';
import { WorkloadAttestorDefinition } from '../../gen/spire/plugin/agent/workloadattestor/v1/workloadattestor.ts';
import { RemoteError } from '../../rpc/status.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { requireValidSelector, type Selector } from '../../spiffe/selector.ts';
import { Status } from '../../spiffe/status.ts';
import { type Plugin, PluginService } from '../plugin.ts';
import type { PluginGeneration } from '../plugin-generation.ts';

/** Finds out what a process on this node is. */
export interface WorkloadAttestor {
  readonly name: string;
  /** @returns what it found, of the attestor's name as type; nothing where it has nothing to say of such a process. */
  attest(pid: number, signal: AbortSignal): Promise<readonly Selector[]>;
}

/** SPIRE has none of its own. */
const DEADLINE_MS = 30_000;
const MAX_PID = 2 ** 31 - 1;
const PID_REFERENCE_TYPE = 'type.googleapis.com/spiffe.broker.WorkloadPIDReference';

/** @see plugin-wire §8.9 */
export function createWorkloadAttestor(plugin: Plugin): WorkloadAttestor {
  return {
    name: plugin.name,
    attest: async (pid, signal) => {
      if (!Number.isInteger(pid) || pid < 1 || pid > MAX_PID) {
        throw new SpiffeError('ARGUMENT_INVALID', `process ID ${pid} is not a number from 1 to ${MAX_PID}`);
      }
      return await plugin.run(async (generation) => {
        const selectors = (await attest(generation, pid, signal)).map((value) => ({ type: plugin.name, value }));
        selectors.forEach(requireSelector);
        return selectors;
      });
    },
  };
}

const service = new PluginService(WorkloadAttestorDefinition);
/** Generations that have `AttestReference` alone. */
const referenceOnly = new WeakSet<PluginGeneration>();

async function attest(generation: PluginGeneration, pid: number, signal: AbortSignal): Promise<readonly string[]> {
  const client = service.of(generation);
  const options = { signal, deadlineMs: DEADLINE_MS };
  if (!referenceOnly.has(generation)) {
    try {
      return (await client.attest({ pid }, options)).selectorValues;
    } catch (error) {
      if (!(error instanceof RemoteError && error.status === Status.Unimplemented)) throw error;
    }
  }
  const value = WorkloadPIDReference.encode({ pid }).finish();
  const { selectorValues } = await client.attestReference(
    { reference: { typeUrl: PID_REFERENCE_TYPE, value } },
    options,
  );
  referenceOnly.add(generation);
  return selectorValues;
}

function requireSelector(selector: Selector): void {
  try {
    requireValidSelector(selector);
  } catch (cause) {
    throw new SpiffeError('PLUGIN_PROTOCOL', 'the plugin answered a selector without a value', { cause });
  }
}
