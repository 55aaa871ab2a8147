import { defineKeyManager, type Plugin } from '../../plugin-sdk/index.ts';
import { type Pkcs11Config, pkcs11Config } from './config.ts';
import { TokenKeys } from './token-keys.ts';

/** Keys that are made on a token or HSM behind a PKCS#11 module, and never leave it. */
export function pkcs11KeyManager(side: 'server' | 'agent'): Plugin {
  return defineKeyManager<Pkcs11Config, TokenKeys>({
    name: 'pkcs11',
    side,
    config: pkcs11Config,
    configure: (config, context) => TokenKeys.open(config, side, context),
    generateKey: (id, type, keys) => keys.generate(id, type),
    findKey: async (id, keys) => keys.find(id),
    getKeys: async (keys) => keys.list(),
    signData: (id, digest, options, keys) => keys.sign(id, digest, options),
  });
}
