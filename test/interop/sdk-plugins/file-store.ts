import { appendFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { defineSvidStore, SpiffeError, servePlugin } from '../../../src/plugin-sdk/index.ts';

/** @returns the path of the file that the metadata names. */
async function begin(folder: string, call: string, metadata: readonly string[]): Promise<string> {
  await appendFile(join(folder, 'journal'), `${call} ${metadata.join(',')}\n`);
  const isBusy = await stat(join(folder, 'busy')).then(
    () => true,
    () => false,
  );
  if (isBusy) throw new SpiffeError('UNAVAILABLE', 'the store is busy');
  const name = metadata.find((value) => value.startsWith('name:'))?.slice('name:'.length);
  if (name === undefined) throw new SpiffeError('ARGUMENT_INVALID', 'the metadata has no name');
  return join(folder, `${name}.json`);
}

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');

// An SVID store that keeps what it is given in a file a name, and a line of its journal for every call. As in a store of
// secrets, the name alone says which: other metadata says how it is kept. While its folder has a file "busy", it fails.
await servePlugin(
  defineSvidStore({
    name: 'file-store',
    config: z.strictObject({ folder: z.string() }),
    configure: (config) => config,
    async putX509Svid(svid, { folder }) {
      const path = await begin(folder, 'put', svid.metadata);
      const kept = {
        spiffeId: svid.spiffeId,
        chain: svid.certificates.map(base64),
        key: base64(svid.privateKey),
        bundle: svid.bundle.map(base64),
        expiresAt: svid.expiresAt,
        metadata: svid.metadata,
        federated: Object.fromEntries([...svid.federatedBundles].map(([id, bundle]) => [id, base64(bundle)])),
      };
      await writeFile(`${path}.new`, JSON.stringify(kept), { mode: 0o600 });
      await rename(`${path}.new`, path);
    },
    async deleteX509Svid(metadata, { folder }) {
      await rm(await begin(folder, 'delete', metadata), { force: true });
    },
  }),
);
