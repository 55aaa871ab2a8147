import { defineKeyManager, type Plugin } from '../../plugin-sdk/index.ts';
import { type TpmKeysConfig, tpmKeysConfig } from './config.ts';
import { TpmKeys } from './tpm-keys.ts';

/** Keys that are made in a TPM and never leave it, wrapped by it in a file. */
export function tpmKeyManager(side: 'server' | 'agent'): Plugin {
  return defineKeyManager<TpmKeysConfig, TpmKeys>({
    name: 'tpm',
    side,
    config: tpmKeysConfig,
    configure: (config) => TpmKeys.open(config),
    generateKey: (id, type, keys) => keys.generate(id, type),
    findKey: async (id, keys) => keys.find(id),
    getKeys: async (keys) => keys.list(),
    signData: (id, digest, options, keys) => keys.sign(id, digest, options),
  });
}
