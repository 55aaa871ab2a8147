import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { z } from 'zod';
import { defineKeyManager, SoftwareKeys, servePlugin } from '../../src/plugin-sdk/index.ts';

// A key manager that ends itself at the moment that its argument names.
const [moment] = process.argv.slice(2);
function die(): never {
  process.stderr.write('these are my last words\n');
  process.exit(3);
}

if (moment === 'handshake') {
  const path = `${process.env.PLUGIN_UNIX_SOCKET_DIR}/s${randomInt(1_000)}`;
  createServer().listen(path, () => process.stdout.write(`1|1|unix|${path}|grpc|\n`, die));
} else {
  const keys = new SoftwareKeys();
  await servePlugin(
    defineKeyManager({
      name: 'dying',
      side: 'server',
      config: z.strictObject({}),
      configure: () => (moment === 'configure' ? die() : undefined),
      generateKey: async (id, type) => (moment === 'call' ? die() : await keys.generate(id, type)),
      findKey: async (id) => keys.find(id),
      getKeys: async () => keys.list(),
      signData: async (id, digest, options) => keys.sign(id, digest, options),
    }),
  );
}
