import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parsePcrFile } from '../../src/cli/parse-pcr-file.ts';
import { imaFieldsOf } from '../../src/tpm/ima/ima-fields.ts';
import { type ImaEntry, MAX_IMA_LOG_BYTES, parseImaLog } from '../../src/tpm/ima/parse-ima-log.ts';
import { type ImaReplayOptions, requireBootAggregate, requireImaPrefix } from '../../src/tpm/ima/replay-ima-log.ts';
import { u32 } from './little-endian.ts';
import { digestField, encodeEntry, extendAll, field, fileData } from './made-ima-log.ts';
import { denied, refusalOf } from './refusals.ts';

const MACHINES = ['direct-kernel', 'shim-grub-secure-boot'] as const;
const vector = (machine: string, name: string) =>
  readFileSync(join(import.meta.dirname, '..', 'vectors', 'tpm', machine, name));
const logOf = (machine: string) => parseImaLog(vector(machine, 'ima-binary.bin'));
const pcrsOf = (machine: string, when: 'before' | 'after') =>
  parsePcrFile(vector(machine, `pcrs-${when}.txt`).toString());
const pcr10 = (machine: string, when: 'before' | 'after', bank: 'sha1' | 'sha256' | 'sha384') =>
  pcrsOf(machine, when).get(bank)?.get(10) ?? new Uint8Array();
const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest();

describe.each(MACHINES)('the log of a real machine, %s', (machine) => {
  const before = machine === 'direct-kernel' ? 18 : 13;
  test.each<readonly [ImaReplayOptions]>([
    [{ bank: 'sha1' }],
    [{ bank: 'sha256' }],
    [{ bank: 'sha384', isPaddedSha1: true }],
  ])('begins with what its TPM had, before and after the log went on: %j', (options) => {
    const log = logOf(machine);
    const prefixes = (['before', 'after'] as const).map((when) =>
      requireImaPrefix(log, pcr10(machine, when, options.bank as 'sha1'), options),
    );
    expect(prefixes).toEqual([
      { entryCount: before, violationCount: 2 },
      { entryCount: log.length, violationCount: 2 },
    ]);
  });

  test('gives no SHA-384 bank by SHA-384, as its kernel had none', () => {
    const refusal = refusalOf(() =>
      requireImaPrefix(logOf(machine), pcr10(machine, 'after', 'sha384'), { bank: 'sha384' }),
    );
    expect(refusal).toEqual(denied('E39', /no part of the IMA log from its beginning gives/));
  });

  test('is read as the kernel writes it as text', () => {
    const theirs = vector(machine, 'ima-ascii.txt').toString().trimEnd().split('\n');
    const ours = logOf(machine).map((entry) => {
      const { algorithm, digest, name, signature } = imaFieldsOf(entry) ?? expect.unreachable();
      const words = [entry.pcr, hex(entry.templateDigest), entry.template, `${algorithm}:${hex(digest)}`, name];
      return `${words.join(' ')} ${hex(signature ?? new Uint8Array())}`.trimEnd();
    });
    expect(ours).toEqual(theirs.map((line) => line.trimEnd()));
  });

  test('is of the boot that its PCRs are of, and of no other', () => {
    const other = machine === 'direct-kernel' ? 'shim-grub-secure-boot' : 'direct-kernel';
    const requireOf = (of: string) => () =>
      requireBootAggregate(logOf(machine), (bank) => pcrsOf(of, 'before').get(bank as 'sha256'));
    requireOf(machine)();
    expect(refusalOf(requireOf(other))).toEqual(denied('E38', /the IMA log is of another boot/));
  });

  test('with an entry dropped, inserted, moved or edited does not give what the TPM had', () => {
    const log = logOf(machine);
    const [a, b, c] = [log[3], log[4], log[5]];
    if (a === undefined || b === undefined || c === undefined) expect.unreachable();
    const edited = Uint8Array.from(b.templateData);
    edited[edited.length - 5] = (edited.at(-5) ?? 0) ^ 1;
    const inserted = { ...b, templateData: edited, templateDigest: createHash('sha1').update(edited).digest() };
    const changes = [
      log.toSpliced(3, 1),
      log.toSpliced(3, 0, inserted),
      log.toSpliced(3, 2, b, a),
      log.toSpliced(4, 1, inserted),
      log.toSpliced(4, 1, { ...b, isViolation: !b.isViolation }),
    ];
    for (const changed of changes) {
      expect(
        refusalOf(() => requireImaPrefix(changed, pcr10(machine, 'before', 'sha256'), { bank: 'sha256' })),
      ).toEqual(denied('E39', /no part of the IMA log/));
    }
  });

  test('cut off anywhere is refused, or is a shorter log', () => {
    const bytes = vector(machine, 'ima-binary.bin');
    const all = logOf(machine).length;
    for (let length = 0; length < bytes.length; length += 1 + (length % 5)) {
      try {
        expect(parseImaLog(bytes.subarray(0, length)).length).toBeLessThan(all);
      } catch (error) {
        expect(error).toMatchObject({ code: 'ATTESTATION_DENIED' });
      }
    }
  });

  test('with any one bit turned over is refused, or says what it said', () => {
    const bytes = vector(machine, 'ima-binary.bin');
    const told = logOf(machine).map(sayingOf);
    for (let bit = 0; bit < bytes.length * 8; bit += 61) {
      const changed = Uint8Array.from(bytes);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      try {
        const log = parseImaLog(changed);
        requireImaPrefix(log, pcr10(machine, 'after', 'sha256'), { bank: 'sha256' });
        for (const [index, entry] of log.entries()) {
          if (entry.isViolation) continue; // it says nothing
          expect(['', told[index]]).toContain(sayingOf(entry)); // the name of the template is not measured
        }
      } catch (error) {
        expect(error).toMatchObject({ code: 'ATTESTATION_DENIED' });
      }
    }
  });
});

/** All that an entry says; empty where its template is unknown. */
function sayingOf(entry: ImaEntry): string {
  const fields = imaFieldsOf(entry);
  if (fields === undefined) return '';
  const { digestType, algorithm, digest, name, signature, buffer } = fields;
  const bytes = [digest, signature, buffer].map((one = new Uint8Array()) => hex(one));
  return [digestType, algorithm, name, ...bytes].join(' ');
}

describe('an entry is refused', () => {
  const data = fileData('/bin/true', 'x');
  const encoded = encodeEntry({ data });
  test.each<readonly [string, Uint8Array, string, RegExp]>([
    ['that is cut off', encoded.subarray(0, -1), 'D26', /the IMA log has \d+ bytes left/],
    [
      'whose digest is not of its data',
      encodeEntry({ data, digest: Buffer.alloc(20, 1) }),
      'E35',
      /entry 0 has a template digest that is not of its data/,
    ],
    [
      'without a template',
      Buffer.concat([u32(10), Buffer.alloc(20), u32(0), u32(0)]),
      'E37',
      /a template name of 0 bytes/,
    ],
    [
      'with a long template',
      Buffer.concat([u32(10), Buffer.alloc(20), u32(65), Buffer.alloc(65, 0x61)]),
      'E37',
      /a template name of 65 bytes/,
    ],
    ['with a template that is none', encodeEntry({ data, template: 'IMA\n' }), 'E37', /a template name that is none/],
    [
      'with too much data',
      Buffer.concat([encoded.subarray(0, 34), u32(1024 * 1024 + 1)]),
      'E37',
      /has 1048577 bytes of data/,
    ],
    [
      'of the oldest template, with a long name',
      Buffer.concat([u32(10), Buffer.alloc(20), field('ima'), Buffer.alloc(20), u32(256)]),
      'E37',
      /has a name of 256 bytes/,
    ],
  ])('%s', (_what, bytes, check, message) => {
    expect(refusalOf(() => parseImaLog(bytes))).toEqual(denied(check, message));
  });

  test('where the whole log is too large, or has too many', () => {
    expect(refusalOf(() => parseImaLog(Buffer.alloc(MAX_IMA_LOG_BYTES + 1)))).toEqual(
      denied('E37', /at most 67108864 are read/),
    );
    const violation = encodeEntry({ data: Buffer.alloc(0), digest: Buffer.alloc(20) });
    const many = Buffer.concat(Array.from({ length: 500_001 }, () => violation));
    expect(refusalOf(() => parseImaLog(many))).toEqual(denied('E37', /more than 500000 entries/));
  });

  const fieldsOf = (template: string, ...fields: Uint8Array[]) => {
    const [entry] = parseImaLog(encodeEntry({ template, data: Buffer.concat(fields) }));
    return entry && imaFieldsOf(entry);
  };
  const digest = field(digestField('sha256', Buffer.alloc(32, 7)));
  test.each<readonly [string, string, readonly Uint8Array[], string, RegExp]>([
    ['a field that is cut off', 'ima-ng', [digest, u32(9)], 'D26', /IMA entry 0 has 0 bytes left/],
    ['bytes behind the fields', 'ima-ng', [digest, field('a\0'), Buffer.alloc(1)], 'E37', /1 bytes behind its fields/],
    ['no algorithm', 'ima-ng', [field(Buffer.alloc(20)), field('a\0')], 'E37', /names no hash algorithm/],
    ['no type of digest', 'ima-ngv2', [digest, field('a\0')], 'E37', /names no hash algorithm/],
    [
      'a digest of another size',
      'ima-ng',
      [field(digestField('sha256', Buffer.alloc(20))), field('a\0')],
      'E37',
      /has 20 bytes by sha256, which has 32/,
    ],
    ['a name without an end', 'ima-ng', [digest, field('a')], 'E37', /does not end with one NUL/],
    ['a name with two ends', 'ima-ng', [digest, field('a\0b\0')], 'E37', /does not end with one NUL/],
    ['no name', 'ima-ng', [digest, field('\0')], 'E37', /does not end with one NUL/],
  ])('%s', (_what, template, fields, check, message) => {
    expect(refusalOf(() => fieldsOf(template, ...fields))).toEqual(denied(check, message));
  });

  test.each<readonly [string, readonly Uint8Array[], object]>([
    ['ima-ng', [digest, field('/a\0')], { algorithm: 'sha256', digestType: 'ima', name: '/a', signature: undefined }],
    ['ima-sig', [digest, field('/a\0'), field('s')], { name: '/a', signature: Buffer.from('s') }],
    ['ima-ngv2', [field(digestField('verity:sha256', Buffer.alloc(32))), field('/a\0')], { digestType: 'verity' }],
    [
      'ima-sigv2',
      [field(digestField('ima:sha256', Buffer.alloc(32))), field('/a\0'), field('')],
      { digestType: 'ima', signature: Buffer.alloc(0) },
    ],
    [
      'ima-buf',
      [digest, field('kexec-cmdline\0'), field('quiet')],
      { name: 'kexec-cmdline', buffer: Buffer.from('quiet') },
    ],
  ])('but of %s, whose fields are read', (template, fields, expected) => {
    expect(fieldsOf(template, ...fields)).toMatchObject(expected);
  });

  test('but of the oldest template, which is hashed with its name filled up', () => {
    const hashed = Buffer.concat([Buffer.alloc(20, 5), Buffer.from('/a'), Buffer.alloc(254)]);
    const bytes = Buffer.concat([
      u32(10),
      createHash('sha1').update(hashed).digest(),
      field('ima'),
      Buffer.alloc(20, 5),
      field('/a'),
    ]);
    const [entry] = parseImaLog(bytes);
    const fields = entry && imaFieldsOf(entry);
    expect(fields).toMatchObject({ algorithm: 'sha1', name: '/a' });
    expect(hex(fields?.digest ?? new Uint8Array())).toBe('05'.repeat(20));
  });

  test('but of an unknown template, which says nothing', () => {
    expect(fieldsOf('d-ng|n-ng|evmsig', digest)).toBeUndefined();
  });
});

describe('PCR 10', () => {
  const [a, b] = [fileData('/a', '1'), fileData('/b', '2')];
  const requirePrefix = (bytes: Uint8Array, value: Uint8Array) =>
    requireImaPrefix(parseImaLog(bytes), value, { bank: 'sha256' });

  test('a violation extends ones whatever it says, and is counted', () => {
    const log = Buffer.concat([encodeEntry({ data: a }), encodeEntry({ data: b, digest: Buffer.alloc(20) })]);
    const value = extendAll('sha256', [sha256(a), Buffer.alloc(32, 0xff)]);
    expect(requirePrefix(log, value)).toEqual({ entryCount: 2, violationCount: 1 });
    expect(refusalOf(() => requirePrefix(log, extendAll('sha256', [sha256(a), sha256(b)])))).toEqual(
      denied('E39', /./),
    );
  });

  test('vouches for what was measured before, not for what came after', () => {
    const log = Buffer.concat([encodeEntry({ data: a }), encodeEntry({ data: b, digest: Buffer.alloc(20) })]);
    expect(requirePrefix(log, extendAll('sha256', [sha256(a)]))).toEqual({ entryCount: 1, violationCount: 0 });
    expect(requirePrefix(log, Buffer.alloc(32))).toEqual({ entryCount: 0, violationCount: 0 });
  });

  test('is the only one that entries may be for', () => {
    const log = Buffer.concat([encodeEntry({ data: a }), encodeEntry({ data: b, pcr: 11 })]);
    expect(refusalOf(() => requirePrefix(log, Buffer.alloc(32, 1)))).toEqual(
      denied('E37', /entry 1 is for PCR 11, not 10/),
    );
  });

  test('filled up with zeros is not taken for the bank’s own', () => {
    const padded = Buffer.concat([createHash('sha1').update(a).digest(), Buffer.alloc(12)]);
    const [log, value] = [parseImaLog(encodeEntry({ data: a })), extendAll('sha256', [padded])];
    expect(refusalOf(() => requireImaPrefix(log, value, { bank: 'sha256' }))).toEqual(denied('E39', /./));
    expect(requireImaPrefix(log, value, { bank: 'sha256', isPaddedSha1: true })).toMatchObject({ entryCount: 1 });
  });
});

describe('boot_aggregate', () => {
  const pcrs = new Map(Array.from({ length: 10 }, (_, index) => [index, Buffer.alloc(20, index)]));
  const logWith = (name: string, algorithm: string, digest: Uint8Array) =>
    parseImaLog(encodeEntry({ data: Buffer.concat([field(digestField(algorithm, digest)), field(`${name}\0`)]) }));
  const sha1 = createHash('sha1')
    .update(Buffer.concat([...pcrs.values()].slice(0, 8)))
    .digest();

  test('by SHA-1 is of PCR 0 to 7', () => {
    requireBootAggregate(logWith('boot_aggregate', 'sha1', sha1), () => pcrs);
  });

  test.each<readonly [string, () => readonly unknown[], RegExp]>([
    ['is first', () => logWith('/init', 'sha1', sha1), /does not begin with boot_aggregate/],
    ['is there', () => [], /does not begin with boot_aggregate/],
    [
      'is by a bank whose PCRs are known',
      () => logWith('boot_aggregate', 'sha512', Buffer.alloc(64)),
      /PCR 0 to 9 of that bank are not known/,
    ],
    ['is of these PCRs', () => logWith('boot_aggregate', 'sha1', Buffer.alloc(20)), /the IMA log is of another boot/],
  ])('%s, or the log is refused', (_what, log, message) => {
    const valuesOf = (bank: string) => (bank === 'sha1' ? pcrs : undefined);
    expect(refusalOf(() => requireBootAggregate(log() as ReturnType<typeof parseImaLog>, valuesOf))).toEqual(
      denied('E38', message),
    );
  });
});

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
