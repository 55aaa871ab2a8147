import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { type Bundle, defineBundlePublisher, encodePem, z } from 'assayer/plugin-sdk';

const config = z.strictObject({ path: z.string().regex(/^\//, { error: 'must be the absolute path of a file' }) });

/** @returns whether there was something new */
export async function publish(bundle: Bundle, path: string): Promise<boolean> {
  const text = bundle.x509Authorities.map(({ certificate }) => encodePem('CERTIFICATE', certificate)).join('');
  if (text === (await readFile(path, 'utf8').catch(() => undefined))) return false;
  await rm(`${path}.new`, { force: true });
  await writeFile(`${path}.new`, text, { mode: 0o644, flag: 'wx', flush: true });
  await rename(`${path}.new`, path); // a reader finds the old file or the new one
  return true;
}

export const plugin = defineBundlePublisher({
  name: '__NAME__',
  config,
  configure: ({ path }) => ({ path }),
  async publishBundle(bundle, { path }, { log }) {
    if (await publish(bundle, path)) log.info('published', { authorities: bundle.x509Authorities.length });
  },
});
