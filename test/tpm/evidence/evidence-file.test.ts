import { describe, expect, test } from 'vitest';
import { formatEvidence, MAX_EVIDENCE_BYTES, parseEvidence } from '../../../src/tpm/evidence/evidence-file.ts';
import type { RecordedEvidence } from '../../../src/tpm/evidence/recorded-evidence.ts';

const bytes = (length: number, first = 0) => Uint8Array.from({ length }, (_, index) => (first + index) % 256);
const EVIDENCE: RecordedEvidence = {
  recordedAt: new Date('2030-01-02T03:04:05.678Z'),
  ekPublic: bytes(316),
  ekCertificates: [bytes(900), bytes(700, 9)],
  akPublic: bytes(90),
  nonce: bytes(32),
  quotes: [
    {
      bank: 'sha256',
      pcrs: new Map([
        [0, bytes(32)],
        [10, bytes(32, 5)],
      ]),
      quote: bytes(145),
      signature: bytes(72),
    },
    { bank: 'sha512', pcrs: new Map([[23, bytes(64)]]), quote: bytes(150), signature: bytes(262) },
  ],
  eventLog: bytes(5000),
  imaLog: bytes(7000),
  commandLine: 'console=ttyS0 quiet',
};

type Json = Record<string, unknown>;
const json = (): Json => JSON.parse(formatEvidence(EVIDENCE));
const parse = (value: unknown) => parseEvidence(Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)));
const quote = (change: Json) => ({ ...json(), quotes: [{ ...(json().quotes as Json[])[0], ...change }] });

test('comes back as it was written, with and without what is optional', () => {
  expect(parse(formatEvidence(EVIDENCE))).toEqual(EVIDENCE);
  const { eventLog, imaLog, commandLine, ...least } = EVIDENCE;
  expect(parse(formatEvidence(least))).toEqual({
    ...least,
    eventLog: undefined,
    imaLog: undefined,
    commandLine: undefined,
  });
});

describe('is refused', () => {
  test.each<readonly [string, () => unknown, RegExp]>([
    ['no object', () => [], /is no JSON object/],
    ['an array of objects', () => [json()], /is no JSON object/],
    ['without a format', () => ({}), /"format" of the evidence file is missing/],
    ['another version', () => ({ ...json(), version: 2 }), /is of version 2, this program reads version 1/],
    ['a version in words', () => ({ ...json(), version: '1' }), /"version" of the evidence file is no number/],
    ['a field too many', () => ({ ...json(), more: 1 }), /"more" of the evidence file is not known/],
    ['a field of a quote too many', () => quote({ more: 1 }), /"more" of quotes of the evidence file is not known/],
    ['a time that is none', () => ({ ...json(), recordedAt: 'yesterday' }), /is no time: "yesterday"/],
    ['a short nonce', () => ({ ...json(), nonce: '00' }), /"nonce" of the evidence file is not 16 to 64 bytes/],
    ['a long nonce', () => ({ ...json(), nonce: '00'.repeat(65) }), /"nonce" .* is 130 characters long/],
    ['an odd nonce', () => ({ ...json(), nonce: '0'.repeat(33) }), /"nonce" .* is not 16 to 64 bytes/],
    ['no quote', () => ({ ...json(), quotes: [] }), /"quotes" .* is a list of 0, 1 to 3 are read/],
    ['many quotes', () => ({ ...json(), quotes: Array(4).fill({}) }), /"quotes" .* is a list of 4/],
    [
      'a bank twice',
      () => ({ ...json(), quotes: Array(2).fill((json().quotes as Json[])[0]) }),
      /two quotes of one bank/,
    ],
    ['a quote of SHA-1', () => quote({ bank: 'sha1' }), /a quote of bank "sha1"/],
    ['a bank from the prototype', () => quote({ bank: 'toString' }), /a quote of bank "toString"/],
    ['a PCR 24', () => quote({ pcrs: { 24: '00'.repeat(32) } }), /a value of PCR "24"/],
    ['a PCR 07', () => quote({ pcrs: { '07': '00'.repeat(32) } }), /a value of PCR "07"/],
    ['a short PCR', () => quote({ pcrs: { 7: '00' } }), /"7" of pcrs of quotes .* is not 32 bytes/],
    ['PCRs in a list', () => quote({ pcrs: [] }), /pcrs of quotes of the evidence file is no JSON object/],
    ['a large quote', () => quote({ quote: 'A'.repeat(2000) }), /"quote" .* is 2000 characters long/],
    ['what is no base64', () => ({ ...json(), eventLog: '####' }), /"eventLog" .* is no base64/],
    ['base64 with a bit too many', () => ({ ...json(), eventLog: 'AB==' }), /"eventLog" .* is no base64/],
    ['a log of null', () => ({ ...json(), imaLog: null }), /"imaLog" .* is no text/],
    ['many certificates', () => ({ ...json(), endorsementCertificates: Array(9).fill('') }), /is a list of 9/],
    [
      'a certificate of a number',
      () => ({ ...json(), endorsementCertificates: [1] }),
      /endorsementCertificates .* is no text/,
    ],
    [
      'a long command line',
      () => ({ ...json(), commandLine: 'x'.repeat(65_537) }),
      /"commandLine" .* is 65537 characters/,
    ],
    ['brackets without end', () => '['.repeat(1_000_000), /has more than 4096 values/],
    ['many members', () => JSON.stringify(Array(5000).fill(0)), /has more than 4096 values/],
    ['a cut file', () => formatEvidence(EVIDENCE).slice(0, 500), /is no JSON: it may be cut/],
    ['nothing', () => '', /is no JSON/],
  ])('%s', (_what, value, message) => {
    expect(() => parse(value())).toThrow(
      expect.objectContaining({ code: 'TPM_DATA_INVALID', message: expect.stringMatching(message) }),
    );
  });

  test('what is larger than any honest file, before it is looked at', () => {
    const refused = expect.objectContaining({ code: 'TOO_LARGE' });
    expect(() => parseEvidence(Buffer.alloc(MAX_EVIDENCE_BYTES + 1))).toThrow(refused);
  });

  test('every cut and every changed byte, or it is read as something else of the right form', () => {
    const text = formatEvidence({ ...EVIDENCE, eventLog: bytes(9), imaLog: bytes(9), ekCertificates: [bytes(9)] });
    for (let length = 0; length < text.length - 2; length++) expect(() => parse(text.slice(0, length))).toThrow();
    for (let index = 0; index < text.length; index++) {
      const changed = Buffer.from(text);
      changed[index] = (changed[index] ?? 0) ^ 0x15;
      try {
        expect(parseEvidence(changed).quotes.length).toBeGreaterThan(0);
      } catch (error) {
        expect(error).toMatchObject({ name: 'SpiffeError' });
      }
    }
  });
});
