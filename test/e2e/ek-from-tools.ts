import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Swtpm, SwtpmEk } from '../../src/testing/swtpm.ts';

const run = promisify(execFile);

/** What tpm2_createek calls them. */
const ALGORITHMS: Readonly<Record<SwtpmEk, string>> = { 'rsa-2048': 'rsa', 'ec-p256': 'ecc', 'ec-p384': 'ecc384' };

/** SHA-256, in hex, of an endorsement key's SubjectPublicKeyInfo, by tpm2-tools and openssl alone. */
export async function ekHashByTools(tpm: Swtpm, ek: SwtpmEk): Promise<string> {
  await tpm.tools('tpm2_createek', '-G', ALGORITHMS[ek], '-c', 'hash.ctx', '-f', 'pem', '-u', 'hash.pem');
  await tpm.tools('tpm2_flushcontext', '-t');
  await run('openssl', ['pkey', '-pubin', '-in', 'hash.pem', '-outform', 'DER', '-out', 'hash.der'], {
    cwd: tpm.folder,
  });
  const { stdout } = await run('openssl', ['dgst', '-sha256', '-r', join(tpm.folder, 'hash.der')]);
  const [hash = ''] = stdout.split(' ');
  return hash;
}

/** What tpm2_pcrread prints for a PCR, in lower-case hex. */
export async function readPcrByTools(tpm: Swtpm, bank: string, index: number): Promise<string> {
  const printed = await tpm.tools('tpm2_pcrread', `${bank}:${index}`);
  return (/0x([0-9A-F]+)\s*$/.exec(printed)?.[1] ?? '').toLowerCase();
}
