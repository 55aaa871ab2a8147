import { existsSync } from 'node:fs';
import { WorkloadPIDReference } from '../../../../src/gen/spiffe/broker/broker.ts';
import { WorkloadAttestorDefinition } from '../../../../src/gen/spire/plugin/agent/workloadattestor/v1/workloadattestor.ts';
import { BROKER_CALLER_METADATA, REFERENCE_TYPES } from '../../../../src/rpc/go-plugin.ts';
import { type BoundService, bindService } from '../../../../src/rpc/service.ts';
import { SpiffeError } from '../../../../src/spiffe/error.ts';
import type { PluginState } from './state.ts';

export function workloadAttestor(state: PluginState): BoundService {
  const selectorsOf = (pid: number) => {
    if (pid === -1 && state.has('pid-crash')) process.exit(6);
    const isThere = existsSync(`/proc/${pid}`) || state.has('pid-gone');
    if (!isThere) throw new SpiffeError('ENTRY_NOT_FOUND', `no process ${pid}`);
    return { selectorValues: [state.has('pid-selector') ? '' : `pid:${pid}`] };
  };
  return bindService(WorkloadAttestorDefinition, {
    attest: async ({ pid }) => {
      await state.enter();
      if (state.has('pid-unimplemented')) throw new SpiffeError('UNIMPLEMENTED', 'not here');
      if (state.has('pid-huge')) return { selectorValues: Array(200).fill('x'.repeat(1024 * 1024)) };
      return selectorsOf(pid);
    },
    attestReference: async ({ reference }, { metadata }) => {
      await state.enter();
      if (state.has('caller') && metadata.findText(BROKER_CALLER_METADATA)) throw new SpiffeError('INTERNAL', 'who?');
      if (reference === undefined || reference.typeUrl !== REFERENCE_TYPES.process) {
        if (reference?.typeUrl === REFERENCE_TYPES.kubernetesObject && state.has('kubernetes')) {
          throw new SpiffeError('INTERNAL', 'no cluster');
        }
        if (reference !== undefined && state.has('any-reference')) return { selectorValues: ['any'] };
        throw new SpiffeError('ARGUMENT_INVALID', 'no such references here');
      }
      if (state.has('pid-unimplemented') || state.has('reference-internal')) throw new SpiffeError('INTERNAL', 'no');
      if (state.has('reference-garbage')) return { selectorValues: ['any'] };
      try {
        return selectorsOf(WorkloadPIDReference.decode(reference.value).pid);
      } catch (error) {
        if (error instanceof SpiffeError) throw error;
        throw new SpiffeError('ARGUMENT_INVALID', 'that is no reference');
      }
    },
  });
}
