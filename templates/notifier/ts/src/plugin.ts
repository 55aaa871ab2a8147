import { appendFile } from 'node:fs/promises';
import { type Bundle, defineNotifier, SpiffeError, z } from 'assayer/plugin-sdk';

const config = z.strictObject({
  journal_path: z.string().regex(/^\//, { error: 'must be the absolute path of a file' }),
});

/** One line, without its end. */
export function describe(event: string, bundle: Bundle): string {
  const { trustDomain, sequenceNumber, x509Authorities, jwtAuthorities } = bundle;
  return `bundle ${event}: ${trustDomain} sequence=${sequenceNumber} x509=${x509Authorities.length} jwt=${jwtAuthorities.length}`;
}

export async function write(journalPath: string, line: string): Promise<void> {
  try {
    await appendFile(journalPath, `${line}\n`, { mode: 0o640 });
  } catch (cause) {
    throw new SpiffeError('FILE_UNUSABLE', 'the journal cannot be written', { cause });
  }
}

export const plugin = defineNotifier({
  name: '__NAME__',
  config,
  configure: ({ journal_path: journalPath }) => ({ journalPath }),
  bundleLoaded: (bundle, { journalPath }) => write(journalPath, describe('loaded', bundle)),
  bundleUpdated: (bundle, { journalPath }) => write(journalPath, describe('updated', bundle)),
});
