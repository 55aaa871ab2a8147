import { z } from 'zod';
import { defineKeyManager, SoftwareKeys, servePlugin } from '../../src/plugin-sdk/index.ts';
import { readKeyFile, writeKeyFile } from '../../src/plugins/disk/key-file.ts';

// A key manager on disk that ends itself in the n-th call of its life, when the call has done its work and before it
// answers: `node fragile-key-manager.ts <n>`; 0 for never.
const [limit = '0'] = process.argv.slice(2);
let calls = 0;

async function count<Result>(result: Promise<Result> | Result): Promise<Result> {
  const done = await result;
  calls += 1;
  if (calls === Number(limit)) process.exit(3);
  return done;
}

await servePlugin(
  defineKeyManager({
    name: 'fragile',
    side: 'server',
    config: z.strictObject({ keys_path: z.string() }),
    configure: async ({ keys_path }) =>
      new SoftwareKeys(await readKeyFile(keys_path), (keys) => writeKeyFile(keys_path, keys)),
    generateKey: async (id, type, keys) => await count(keys.generate(id, type)),
    findKey: async (id, keys) => await count(keys.find(id)),
    getKeys: async (keys) => await count(keys.list()),
    signData: async (id, digest, options, keys) => await count(keys.sign(id, digest, options)),
  }),
);
