import { defineKeyManager, type Plugin } from '../../plugin-sdk/index.ts';
import { type TpmKeysConfig, tpmKeysConfig } from './config.ts';
import { LostKeysWatch } from './lost-keys-watch.ts';
import { TpmKeys } from './tpm-keys.ts';

interface WatchedKeys extends Disposable {
  readonly keys: TpmKeys;
}

/** Keys that are made in a TPM and never leave it, wrapped by it in a file. */
export function tpmKeyManager(side: 'server' | 'agent'): Plugin {
  return defineKeyManager<TpmKeysConfig, WatchedKeys>({
    name: 'tpm',
    side,
    config: tpmKeysConfig,
    configure: async (config, { log }) => {
      const keys = await TpmKeys.open(config);
      const onLost = () => {
        log.error('the TPM was cleared and the file of its keys removed: this process ends, and the next has new keys');
        process.exit(1); // the host looks for its keys in the next process, and not in this one
      };
      const onRemoved = () => log.warning('the file of the keys was removed: it is written again with the next key');
      const watch = new LostKeysWatch(keys, { onLost, onRemoved });
      return { keys, [Symbol.dispose]: () => watch[Symbol.dispose]() };
    },
    generateKey: (id, type, { keys }) => keys.generate(id, type),
    findKey: async (id, { keys }) => keys.find(id),
    getKeys: async ({ keys }) => keys.list(),
    signData: (id, digest, options, { keys }) => keys.sign(id, digest, options),
  });
}
