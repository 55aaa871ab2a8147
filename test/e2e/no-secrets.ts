import { readFile } from 'node:fs/promises';
import { expect } from 'vitest';
import { z } from 'zod';
import { type Deployment, inData } from './deployment.ts';

const keyFile = z.object({ keys: z.array(z.object({ pkcs8: z.base64() })).min(1) });
/** Enough of a base64 text to be no accident. */
const PIECE_CHARACTERS = 40;

/** No program printed a private key that is on disk, nor any of `more`. */
export async function expectNoSecrets(deployment: Deployment, more: readonly string[]): Promise<void> {
  const files = [inData(deployment, 'server', 'keys.json'), inData(deployment, 'agent', 'assayer-keys.json')];
  const keys = await Promise.all(
    files.map(async (path) => keyFile.parse(JSON.parse(await readFile(path, 'utf8'))).keys),
  );
  const secrets = [...keys.flat().map(({ pkcs8 }) => pkcs8), ...more];
  expect(secrets.length).toBeGreaterThan(3);
  for (const { output } of deployment.programs) {
    expect(output).not.toContain('PRIVATE KEY');
    for (const secret of secrets) for (const piece of piecesOf(secret)) expect(output).not.toContain(piece);
  }
}

/** A short secret whole; of a long one the end, where keys of one kind differ, and the middle. */
function piecesOf(secret: string): readonly string[] {
  if (secret.length <= 2 * PIECE_CHARACTERS) return [secret];
  const middle = Math.floor(secret.length / 2);
  return [secret.slice(middle, middle + PIECE_CHARACTERS), secret.slice(-PIECE_CHARACTERS)];
}
