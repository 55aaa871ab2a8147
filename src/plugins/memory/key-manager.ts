import { z } from 'zod';
import { defineKeyManager, type Plugin, SoftwareKeys } from '../../plugin-sdk/index.ts';

/** Keys that live as long as the plugin's process. Inventory P002, P033. */
export function memoryKeyManager(side: 'server' | 'agent'): Plugin {
  // Outlives a reconfiguration: there is nothing to configure, and the keys are nowhere else.
  const keys = new SoftwareKeys();
  return defineKeyManager({
    name: 'memory',
    side,
    config: z.strictObject({}),
    configure: () => undefined,
    generateKey: (id, type) => keys.generate(id, type),
    findKey: async (id) => keys.find(id),
    getKeys: async () => keys.list(),
    signData: async (id, digest, options) => keys.sign(id, digest, options),
  });
}
