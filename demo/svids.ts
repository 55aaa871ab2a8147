import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { decodeUnverifiedJwtSvid } from '../src/spiffe/jwt-svid.ts';
import { DerReader, Tag } from '../src/x509/der.ts';
import { encodePem } from '../src/x509/pem.ts';
import { DemoError } from './demo-error.ts';

/** What the workload got, its X.509-SVID in files. */
export interface WorkloadSvids {
  readonly x509Svid: {
    readonly spiffeId: string;
    readonly certPath: string;
    readonly keyPath: string;
    readonly bundlePath: string;
    readonly expiresAt: string;
  };
  readonly jwtSvid: { readonly spiffeId: string; readonly token: string; readonly expiresAt: string };
}

const bytes = z.base64().transform((text) => Buffer.from(text, 'base64'));
const answerSchema = z.object({
  x509: z.object({ spiffeId: z.string(), chain: bytes, key: bytes, bundle: bytes }),
  jwt: z.object({ spiffeId: z.string(), token: z.string() }),
});

const DEADLINE_MS = 30_000;

/** Runs a workload: a process that asks the Workload API for its identity. */
export async function fetchSvids(socketPath: string, audience: string, folder: string): Promise<WorkloadSvids> {
  const { x509, jwt } = answerSchema.parse(JSON.parse(await runWorkload(socketPath, audience)));
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const write = async (name: string, content: string) => {
    const path = join(folder, name);
    await writeFile(path, content, { mode: 0o600 });
    return path;
  };
  const chain = splitCertificates(x509.chain);
  const [leaf] = chain;
  if (leaf === undefined)
    throw new DemoError('the Workload API gave an SVID without certificate: see the log of the agent');
  return {
    x509Svid: {
      spiffeId: x509.spiffeId,
      certPath: await write('svid.pem', chain.map((der) => encodePem('CERTIFICATE', der)).join('')),
      keyPath: await write('svid.key', encodePem('PRIVATE KEY', x509.key)),
      bundlePath: await write(
        'bundle.pem',
        splitCertificates(x509.bundle)
          .map((der) => encodePem('CERTIFICATE', der))
          .join(''),
      ),
      expiresAt: new X509Certificate(leaf).validToDate.toISOString(),
    },
    jwtSvid: { ...jwt, expiresAt: decodeUnverifiedJwtSvid(jwt.token).expiresAt.toISOString() },
  };
}

function runWorkload(socketPath: string, audience: string): Promise<string> {
  const script = fileURLToPath(new URL('workload.ts', import.meta.url));
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [script, socketPath, audience], { timeout: DEADLINE_MS }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new DemoError(`the workload got no identity: ${reasonIn(stderr)}`, { cause: error }));
    });
  });
}

function reasonIn(stderr: string): string {
  return /^(?:RemoteError|Error): (.*)$/m.exec(stderr)?.[1] ?? stderr.trim().slice(0, 500);
}

/** The Workload API hands certificates on as DER in a row. */
function splitCertificates(row: Uint8Array): readonly Uint8Array[] {
  const reader = new DerReader(row);
  const certificates: Uint8Array[] = [];
  while (!reader.isAtEnd) certificates.push(reader.readRaw(Tag.sequence, 'certificate'));
  return certificates;
}
