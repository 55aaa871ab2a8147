import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readTranscript, requireWritable, writeTranscript } from '../../../src/authoring/transcript/index.ts';
import type { Transcript } from '../../../src/authoring/transcript/transcript.ts';
import { decodeTranscript, encodeTranscript } from '../../../src/authoring/transcript/transcript-schema.ts';
import { Status } from '../../../src/spiffe/status.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../harness/temporary-folder.ts';
import { TRUST_DOMAIN } from './digest-halves.ts';

const AT = new Date('2030-01-02T03:04:05.678Z');
const SHA256 = 'ab'.repeat(32);
const ADMITTED: Transcript = {
  recordedAt: AT,
  trustDomain: TRUST_DOMAIN,
  executables: { agent: [], server: [{ name: 'half', sha256: SHA256 }] },
  configuration: 'key = "value"\n',
  metadata: { csrPublicKey: Uint8Array.of(1, 2, 3), forwardedHost: 'server.example.org', clientAddress: '192.0.2.1' },
  messages: [
    { at: AT, kind: 'payload', bytes: Uint8Array.of(0, 255) },
    { at: AT, kind: 'challenge', bytes: new Uint8Array(0) },
    { at: AT, kind: 'response', bytes: Uint8Array.of(7) },
  ],
  draws: { random: [Uint8Array.of(9)], times: [AT] },
  verdict: { outcome: 'admitted', spiffeId: 'spiffe://example.org/x', selectorValues: ['a:b'], canReattest: false },
};
const REFUSED: Transcript = {
  ...ADMITTED,
  configuration: undefined,
  verdict: { outcome: 'refused', status: Status.PermissionDenied, message: 'no "entry"\n' },
};

describe('a transcript as text', () => {
  test.each([
    ['admitted', ADMITTED],
    ['refused', REFUSED],
  ])('comes back as it was, %s', (_what, transcript) => {
    expect(decodeTranscript(encodeTranscript(transcript))).toEqual(transcript);
  });

  const [payload, challenge, response] = JSON.parse(encodeTranscript(ADMITTED)).messages;
  const malformed: readonly (readonly [string, () => string, RegExp])[] = [
    ['is no JSON', () => '{"format": ', /^the transcript is no JSON: /],
    ['is a list', () => '[]', /^transcript: must be a block/],
    [
      'has another format',
      () => edited('format', 'something'),
      /format: must be one of "assayer attestation transcript"/,
    ],
    ['has a later version', () => edited('version', 2), /version: must be 1: another version of this program wrote it/],
    ['has no version', () => edited('version', undefined), /version: must be 1/],
    ['has an unknown key', () => edited('extra', 1), /^transcript: extra: is not a known key$/],
    ['has an unknown key within', () => edited('messages.0.from', 'agent'), /messages\[0\]\.from: is not a known key/],
    ['has a trust domain that is none', () => edited('trust_domain', 'A b'), /trust_domain: .*"A b"/],
    ['has a time that is none', () => edited('recorded_at', 'yesterday'), /recorded_at: must be a time in UTC/],
    [
      'has a checksum that is none',
      () => edited('executables.server.0.sha256', 'AB'),
      /sha256: must be 64 hexadecimal digits/,
    ],
    ['has no messages', () => edited('messages', []), /messages: must have 1 items at least/],
    ['has bytes that are no base64', () => edited('messages.0.bytes', 'AP8'), /messages\[0\]\.bytes: must be base64/],
    ['has bytes in base64url', () => edited('messages.0.bytes', '_-8='), /messages\[0\]\.bytes: must be base64/],
    ['has a kind that is none', () => edited('messages.1.kind', 'verdict'), /messages\[1\]\.kind: must be one of/],
    ['begins with a challenge', () => edited('messages', [challenge]), /messages: must be a payload, then pairs/],
    [
      'has two payloads',
      () => edited('messages', [payload, payload, payload]),
      /messages: must be a payload, then pairs/,
    ],
    ['lacks a response', () => edited('messages', [payload, challenge]), /messages: must be a payload, then pairs/],
    [
      'has 65 messages',
      () => edited('messages', [payload, ...Array(32).fill([challenge, response]).flat()]),
      /64 items at most/,
    ],
    [
      'has a header with a line feed',
      () => edited('metadata.forwarded_host', 'a\nb'),
      /forwarded_host: must be printable ASCII/,
    ],
    [
      'has a draw that is too large',
      () => edited('draws.random', [Buffer.alloc(65_537).toString('base64')]),
      /65536 bytes at most, it has 65537/,
    ],
    [
      'has too many draws',
      () => edited('draws.random', Array(1_025).fill('AA==')),
      /draws.random: must have 1024 items at most/,
    ],
    ['has no verdict', () => edited('verdict', undefined), /verdict: /],
    [
      'has another outcome',
      () => edited('verdict', { outcome: 'perhaps' }),
      /verdict.*: must be a block whose outcome is "admitted" or "refused"/,
    ],
    [
      'is refused with OK',
      () => edited('verdict', { outcome: 'refused', status: 'Ok', message: '' }),
      /verdict.status: must be one of/,
    ],
    ['has both verdicts', () => edited('verdict.message', 'no'), /verdict.message: is not a known key/],
  ];
  test.each(malformed)('is refused where it %s', (_what, text, message) => {
    const reading = () => decodeTranscript(text());
    expect(reading).toThrow(
      expect.objectContaining({ code: 'ARGUMENT_INVALID', message: expect.stringMatching(message) }),
    );
  });

  test('tells every mistake, each on its line', () => {
    const text = JSON.stringify({ ...JSON.parse(edited('version', 9)), recorded_at: 1, extra: true });
    expect(() => decodeTranscript(text)).toThrow(
      /^transcript: version.*\ntranscript: recorded_at.*\ntranscript: extra/s,
    );
  });

  test('never crashes, whichever byte is changed', () => {
    const text = Buffer.from(encodeTranscript(ADMITTED));
    for (let at = 0; at < text.length; at++) {
      const changed = Buffer.from(text);
      changed[at] = (changed[at] ?? 0) ^ 0x15;
      try {
        decodeTranscript(changed.toString('utf8'));
      } catch (error) {
        expect(error).toMatchObject({ code: 'ARGUMENT_INVALID' });
      }
    }
  });
});

describe('a transcript as a file', () => {
  let folder: TemporaryFolder;
  beforeAll(async () => {
    folder = await createTemporaryFolder();
  });
  afterAll(() => folder[Symbol.asyncDispose]());

  test('is its owner’s alone, whole, and takes the place of an older one', async () => {
    await mkdir(folder.join('written'));
    const path = folder.join('written/transcript.json');
    await writeFile(path, 'older', { mode: 0o644 });
    await requireWritable(path);
    await writeTranscript(path, ADMITTED);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readTranscript(path)).toEqual(ADMITTED);
    expect(await readdir(folder.join('written'))).toEqual(['transcript.json']);
    expect(await readFile(path, 'utf8')).toContain('"kind": "payload"');
  });

  test('is not begun where it could not be written', async () => {
    await expect(requireWritable(folder.join('none/transcript.json'))).rejects.toThrow(
      /cannot write the transcript .*ENOENT/,
    );
    await expect(requireWritable(folder.path)).rejects.toThrow('there is something that is no file');
  });

  test('is not read beyond 32 MiB, also where it has no end', async () => {
    await expect(readTranscript('/dev/zero')).rejects.toMatchObject({ code: 'TOO_LARGE' });
  });

  test.each([
    ['that is not there', 'none.json', /cannot read the transcript .*ENOENT/],
    ['that is a folder', '.', /cannot read the transcript .*EISDIR/],
  ])('is refused %s', async (_what, name, message) => {
    await expect(readTranscript(folder.join(name))).rejects.toThrow(message);
  });

  test('is refused where it is not text', async () => {
    const path = folder.join('bytes');
    await writeFile(path, Uint8Array.of(0x7b, 0xff, 0x7d));
    await expect(readTranscript(path)).rejects.toThrow('is not text in UTF-8');
  });
});

/** The text of a good transcript with one value put in, or taken out where it is undefined. */
function edited(path: string, value: unknown): string {
  const json = JSON.parse(encodeTranscript(ADMITTED));
  const steps = path.split('.');
  const last = steps.pop() ?? '';
  const parent = steps.reduce((object, step) => object[step], json);
  parent[last] = value;
  return JSON.stringify(json);
}
