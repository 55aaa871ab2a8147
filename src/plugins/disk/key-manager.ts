import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { defineKeyManager, type Plugin, SoftwareKeys } from '../../plugin-sdk/index.ts';
import { readKeyFile, writeKeyFile } from './key-file.ts';

const path = z.string().min(1, { error: 'must be a path' });

/** The server names the file, the agent its folder: as with SPIRE. Inventory P030, P001. */
const CONFIGS = {
  server: z.strictObject({ keys_path: path }).transform(({ keys_path }) => keys_path),
  agent: z.strictObject({ directory: path }).transform(({ directory }) => join(directory, 'assayer-keys.json')),
};

/** Keys in one file, which is replaced whole at every change. */
export function diskKeyManager(side: 'server' | 'agent'): Plugin {
  return defineKeyManager<string, SoftwareKeys>({
    name: 'disk',
    side,
    config: CONFIGS[side],
    configure: async (keysPath) =>
      new SoftwareKeys(await readKeyFile(keysPath), async (keys) => {
        await mkdir(dirname(keysPath), { recursive: true, mode: 0o700 });
        await writeKeyFile(keysPath, keys);
      }),
    generateKey: (id, type, keys) => keys.generate(id, type),
    findKey: async (id, keys) => keys.find(id),
    getKeys: async (keys) => keys.list(),
    signData: async (id, digest, options, keys) => keys.sign(id, digest, options),
  });
}
