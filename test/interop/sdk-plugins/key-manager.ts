import { z } from 'zod';
import { defineKeyManager, type KeyRecord, SoftwareKeys, servePlugin } from '../../../src/plugin-sdk/index.ts';

// A key manager in memory, for the server or, with the argument "agent", the agent. Some ids make it misbehave, as the Go plugin of
// that name does, so that a host's checks can be seen.
const keys = new SoftwareKeys();

function spoil(key: KeyRecord): KeyRecord {
  switch (key.id) {
    case 'answers-another-id':
      return { ...key, id: 'another' };
    case 'answers-garbage':
      return { ...key, publicKey: Buffer.from('garbage') };
    case 'answers-empty':
      return { ...key, publicKey: new Uint8Array() };
    default:
      return key;
  }
}

await servePlugin(
  defineKeyManager({
    name: 'key-manager',
    side: process.argv[2] === 'agent' ? 'agent' : 'server',
    config: z.strictObject({}),
    configure: () => undefined,
    generateKey: async (id, type) => spoil(await keys.generate(id, type)),
    findKey: async (id) => keys.find(id),
    getKeys: async () => keys.list(),
    async signData(id, digest, options) {
      const signed = keys.sign(id, digest, options);
      if (id === 'signs-nothing') return { ...signed, signature: new Uint8Array() };
      if (id === 'signs-as-another') return { ...signed, fingerprint: 'another' };
      return signed;
    },
  }),
);
