import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import {
  type HalfCommand,
  type Replay,
  recordAttestation,
  replayAttestation,
  type Transcript,
} from '../../../src/authoring/transcript/index.ts';
import { parseTrustDomain } from '../../../src/spiffe/trust-domain.ts';
import type { TemporaryFolder } from '../../harness/temporary-folder.ts';

export const TRUST_DOMAIN = parseTrustDomain('example.org');
export const DIGEST_AGENT = fileURLToPath(new URL('digest-agent.ts', import.meta.url));
export const DIGEST_SERVER = fileURLToPath(new URL('digest-server.ts', import.meta.url));

let files = 0;

/** A plugin that is a script for Node, with its configuration in a file. */
export async function half(folder: TemporaryFolder, script: string, hcl: string): Promise<HalfCommand> {
  return { ...(await executable(folder, process.execPath, hcl)), args: [script] };
}

export async function executable(folder: TemporaryFolder, command: string, hcl: string): Promise<HalfCommand> {
  const configFile = folder.join(`plugin-${++files}.hcl`);
  await writeFile(configFile, hcl);
  return { command, args: [], configFile };
}

export async function record(folder: TemporaryFolder, serverHcl = '', agentHcl = ''): Promise<Transcript> {
  return await recordAttestation({
    agent: await half(folder, DIGEST_AGENT, agentHcl),
    server: await half(folder, DIGEST_SERVER, serverHcl),
    trustDomain: TRUST_DOMAIN,
  });
}

/** @param serverHcl undefined for the recorded configuration */
export async function replay(
  folder: TemporaryFolder,
  transcript: Transcript,
  serverHcl?: string,
  randomness: 'recorded' | 'fresh' = 'recorded',
): Promise<Replay> {
  const server =
    serverHcl === undefined
      ? { command: process.execPath, args: [DIGEST_SERVER] }
      : await half(folder, DIGEST_SERVER, serverHcl);
  return await replayAttestation({ transcript, server, randomness });
}
