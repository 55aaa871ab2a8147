import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { defineSvidStore, encodePem, SpiffeError, type StoredX509Svid, z } from 'assayer/plugin-sdk';

const config = z.strictObject({ folder: z.string().regex(/^\//, { error: 'must be the absolute path of a folder' }) });

/** What a selector may name: a folder in ours, and none elsewhere. */
const NAME = /^[a-z0-9][a-z0-9_-]{0,62}$/;

/** @throws SpiffeError `ARGUMENT_INVALID`, which tells the agent that trying again is no use */
export function nameOf(metadata: readonly string[]): string {
  const names = metadata.flatMap((value) => (value.startsWith('name:') ? [value.slice('name:'.length)] : []));
  const [name, ...others] = names;
  if (name === undefined || others.length > 0) {
    throw new SpiffeError('ARGUMENT_INVALID', 'the entry needs exactly one selector __NAME__:name:<name>');
  }
  if (NAME.test(name)) return name;
  throw new SpiffeError(
    'ARGUMENT_INVALID',
    `the name ${JSON.stringify(name)} is not of small letters, digits, "_" and "-"`,
  );
}

export async function store(folder: string, svid: StoredX509Svid): Promise<void> {
  const own = join(folder, nameOf(svid.metadata));
  await mkdir(own, { recursive: true });
  const chain = svid.certificates.map((der) => encodePem('CERTIFICATE', der)).join('');
  const bundle = svid.bundle.map((der) => encodePem('CERTIFICATE', der)).join('');
  await replace(join(own, 'key.pem'), encodePem('PRIVATE KEY', svid.privateKey), 0o600);
  await replace(join(own, 'svid.pem'), chain, 0o644);
  await replace(join(own, 'bundle.pem'), bundle, 0o644);
}

/** A reader finds the old file or the new one. */
async function replace(path: string, text: string, mode: number): Promise<void> {
  await rm(`${path}.new`, { force: true });
  await writeFile(`${path}.new`, text, { mode, flag: 'wx', flush: true });
  await rename(`${path}.new`, path);
}

export const plugin = defineSvidStore({
  name: '__NAME__',
  config,
  configure: ({ folder }) => ({ folder }),
  putX509Svid: (svid, { folder }) => store(folder, svid),
  deleteX509Svid: async (metadata, { folder }) => {
    await rm(join(folder, nameOf(metadata)), { recursive: true, force: true });
  },
});
