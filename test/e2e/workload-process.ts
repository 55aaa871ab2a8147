import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';

const run = promisify(execFile);
const bytes = z.base64().transform((text) => new Uint8Array(Buffer.from(text, 'base64')));

const x509 = z.array(z.object({ spiffeId: z.string(), chain: bytes, key: bytes, bundle: bytes })).min(1);
const identity = z.object({
  x509,
  token: z.string(),
  /** JWKS by trust domain. */
  bundles: z.record(z.string(), z.string()),
  validated: z.object({ spiffeId: z.string(), claims: z.unknown() }),
});
const refusal = z.object({ refusal: z.object({ status: z.number(), message: z.string() }) });

export type WorkloadIdentity = z.output<typeof identity>;
export type WorkloadX509 = z.output<typeof x509>;
export const AUDIENCE = 'spiffe://example.org/audience';

/** The X.509-SVIDs that a process gets from the Workload API. @param uid of a user who is not the one who runs the tests; needs root. */
export async function askForX509(socketPath: string, uid?: number) {
  return z.union([z.object({ x509 }), refusal]).parse(await runWorkload([socketPath, '', String(uid ?? '')]));
}

/** X.509-SVID, JWT-SVID and JWT bundles of a process of this user. */
export async function fetchIdentity(socketPath: string): Promise<WorkloadIdentity> {
  return identity.parse(await runWorkload([socketPath, AUDIENCE, '']));
}

async function runWorkload(args: readonly string[]): Promise<unknown> {
  const script = join(import.meta.dirname, 'workload.main.ts');
  const { stdout } = await run(process.execPath, [script, ...args], { timeout: 60_000 });
  return JSON.parse(stdout);
}
