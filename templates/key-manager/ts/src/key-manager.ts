import { defineKeyManager, type Plugin, SoftwareKeys, z } from 'assayer/plugin-sdk';

/** One key manager for both programs. `SoftwareKeys` holds keys in memory: a key store of yours takes its place. */
export function keyManager(side: 'server' | 'agent'): Plugin {
  return defineKeyManager({
    name: '__NAME__',
    side,
    config: z.strictObject({}),
    configure: () => new SoftwareKeys(),
    generateKey: (id, type, keys) => keys.generate(id, type),
    findKey: async (id, keys) => keys.find(id),
    getKeys: async (keys) => keys.list(),
    signData: async (id, digest, options, keys) => keys.sign(id, digest, options),
  });
}
