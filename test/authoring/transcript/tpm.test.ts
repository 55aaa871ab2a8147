import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Replay,
  recordAttestation,
  replayAttestation,
  type Transcript,
} from '../../../src/authoring/transcript/index.ts';
import type { TimedMessage } from '../../../src/authoring/transcript/transcript.ts';
import { type SwtpmEk, startSwtpm } from '../../../src/testing/swtpm.ts';
import { builtPlugin } from '../../harness/built-programs.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../harness/temporary-folder.ts';
import { half, TRUST_DOMAIN } from './digest-halves.ts';

const AGENT = builtPlugin('agent', 'tpm');
const SERVER = builtPlugin('server', 'tpm');

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await createTemporaryFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

async function replay(
  transcript: Transcript,
  hcl?: string,
  randomness: 'recorded' | 'fresh' = 'recorded',
): Promise<Replay> {
  const server = hcl === undefined ? { command: process.execPath, args: [SERVER] } : await half(folder, SERVER, hcl);
  return await replayAttestation({ transcript, server, randomness });
}

/** The transcript with one byte of one message changed. */
function tampered(transcript: Transcript, kind: TimedMessage['kind'], offset: number): Transcript {
  const messages = transcript.messages.map((message) => {
    if (message.kind !== kind) return message;
    const at = offset < 0 ? message.bytes.length + offset : offset;
    return { ...message, bytes: message.bytes.map((byte, index) => (index === at ? byte ^ 1 : byte)) };
  });
  return { ...transcript, messages };
}

async function recordTpm(ek: SwtpmEk): Promise<Transcript> {
  await using tpm = await startSwtpm({ ek: [ek] });
  await tpm.tools('tpm2_pcrextend', `0:sha256=${'5a'.repeat(32)}`);
  await writeFile(caPath(ek), await readFile(tpm.caPath));
  const transcript = await recordAttestation({
    agent: await half(folder, AGENT, `tcti = "${tpm.tcti}"\nek_algorithm = "${ek}"`),
    server: await half(folder, SERVER, `virtual_ca_path = "${caPath(ek)}"`),
    trustDomain: TRUST_DOMAIN,
  });
  for (const kind of ['transient', 'loaded-session', 'saved-session'] as const) {
    expect(await tpm.handles(kind)).toEqual([]);
  }
  return transcript;
}

function caPath(ek: SwtpmEk): string {
  return folder.join(`${ek}.pem`);
}

// The TPM is gone when its evidence is judged again: all that is needed is in the transcript and in the CA's file.
describe.each(['rsa-2048', 'ec-p256', 'ec-p384'] as const)('an attestation of a TPM with a key %s', (ek) => {
  let transcript: Transcript;
  beforeAll(async () => {
    transcript = await recordTpm(ek);
  });

  test('is admitted again, byte for byte', { timeout: 60_000 }, async () => {
    expect(transcript.verdict).toMatchObject({ outcome: 'admitted', canReattest: true });
    expect(transcript.draws.random.length).toBeGreaterThan(0);
    const { differences, divergence, warnings } = await replay(transcript);
    expect({ differences, divergence, warnings }).toEqual({ differences: [], divergence: undefined, warnings: [] });
  });

  test('is refused as a replay attack, at the challenge', { timeout: 60_000 }, async () => {
    const { replayed, divergence, warnings } = await replay(transcript, undefined, 'fresh');
    expect(replayed).toMatchObject({ outcome: 'refused', message: expect.stringMatching(/\(check B16\)$/) });
    expect(divergence).toEqual({ message: 2, what: 'another challenge than was recorded' });
    expect(warnings).toEqual([]);
  });
});

describe('evidence of a TPM', () => {
  let transcript: Transcript;
  beforeAll(async () => {
    transcript = await recordTpm('rsa-2048');
  });

  test('is refused under a changed policy, with the reason', { timeout: 60_000 }, async () => {
    const { replayed, differences } = await replay(transcript, 'hash_path = "/dev/null"');
    expect(replayed).toMatchObject({
      outcome: 'refused',
      message: expect.stringMatching(/is not enrolled.*\(check A11\)$/),
    });
    expect(differences).toEqual([{ field: 'outcome', recorded: 'admitted', replayed: 'refused' }]);
  });

  test('shows what a changed policy changes in the selectors', { timeout: 60_000 }, async () => {
    const { differences } = await replay(transcript, `virtual_ca_path = "${caPath('rsa-2048')}"\npcrs = [0]`);
    expect(differences).toHaveLength(7);
    expect(differences).toContainEqual({ field: 'selector', recorded: expect.stringMatching(/^pcr:sha256:7:/) });
  });

  test.each([
    ['the payload’s last byte, in a certificate', 'payload', -1, /certificate|\(check A\d+\)/],
    ['the secret', 'response', 10, /\(check B16\)$/],
    ['the last PCR value', 'response', -1, /\(check C22\)$/],
  ] as const)('is refused with a change of %s', { timeout: 60_000 }, async (_what, kind, offset, reason) => {
    const { replayed } = await replay(tampered(transcript, kind, offset));
    expect(replayed).toMatchObject({ outcome: 'refused', message: expect.stringMatching(reason) });
  });

  test('is refused for the key of another CSR, and long after', { timeout: 60_000 }, async () => {
    const csrPublicKey = Uint8Array.from(transcript.metadata.csrPublicKey, (byte, index) =>
      index === 30 ? byte ^ 1 : byte,
    );
    const other = await replay({ ...transcript, metadata: { ...transcript.metadata, csrPublicKey } });
    expect(other.replayed).toMatchObject({ outcome: 'refused', message: expect.stringMatching(/\(check C20\)$/) });
    const [first, second, third] = transcript.draws.times;
    expect(third).toBeDefined();
    const late = new Date((third ?? new Date()).getTime() + 3_600_000);
    const times = [first, second, late].filter((time) => time !== undefined);
    const slow = await replay({ ...transcript, draws: { ...transcript.draws, times } });
    expect(slow.replayed).toMatchObject({ outcome: 'refused', message: expect.stringMatching(/\(check F43\)$/) });
  });
});
