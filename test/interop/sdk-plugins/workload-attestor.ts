import { z } from 'zod';
import { defineWorkloadAttestor, SpiffeError, servePlugin } from '../../../src/plugin-sdk/index.ts';

// A workload attestor that knows processes and pods. With the argument "pid" it takes no references.
const takesReferences = process.argv[2] !== 'pid';

function selectorsOf(pid: number): readonly string[] {
  if (pid === 2 ** 31 - 1) throw new SpiffeError('ENTRY_NOT_FOUND', `no process ${pid}`);
  return [`pid:${pid}`];
}

await servePlugin(
  defineWorkloadAttestor({
    name: 'workload-attestor',
    config: z.strictObject({}),
    configure: () => undefined,
    attest: async (pid) => selectorsOf(pid),
    ...(takesReferences && {
      async attestReference(reference, _state, { callerId }) {
        const caller = callerId === undefined ? [] : [`caller:${callerId}`];
        switch (reference.kind) {
          case 'process':
            return [...selectorsOf(reference.pid), 'by:reference', ...caller];
          case 'kubernetes-object': {
            const { resource, namespace, name, uid } = reference;
            return [`${resource.plural}.${resource.group}:${namespace}/${name}/${uid}`, ...caller];
          }
          case 'other':
            return undefined;
        }
      },
    }),
  }),
);
