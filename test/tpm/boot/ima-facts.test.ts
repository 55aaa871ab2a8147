import { describe, expect, test } from 'vitest';
import { type BootFacts, isKnown } from '../../../src/tpm/boot/boot-facts.ts';
import type { ImaEvidence } from '../../../src/tpm/boot/ima-facts.ts';
import { readBootFacts, readBootFactsInSlices } from '../../../src/tpm/boot/read-boot-facts.ts';
import { parseImaLog } from '../../../src/tpm/ima/parse-ima-log.ts';
import type { ImaRule } from '../../../src/tpm/policy/boot-policy.ts';
import { bootSelectors } from '../../../src/tpm/policy/boot-selectors.ts';
import { explain, judge, judgeInSlices, nextImaCheckpoint } from '../../../src/tpm/policy/judge.ts';
import { learn } from '../../../src/tpm/policy/learn.ts';
import { digestOf } from '../made-event-log.ts';
import { digestField, encodeEntries, encodeEntry, extendAll, field, fileData } from '../made-ima-log.ts';
import { denied, refusalOf } from '../refusals.ts';
import { MACHINES, type Machine, readPcrVector, readVector } from '../vectors.ts';
import { recordedBoot } from './recorded-boot.ts';

const KEY = `-----BEGIN CERTIFICATE-----\n${Buffer.from(readKey()).toString('base64')}\n-----END CERTIFICATE-----\n`;
const SIGNED = ['/mnt/bin/hello', '/mnt/etc/app.conf'];
const entriesOf = (machine: Machine) => parseImaLog(readVector(machine, 'ima-binary.bin'));
const read = (machine: Machine, ima: Partial<ImaEvidence> & { readonly log: Uint8Array }) =>
  readBootFacts({ ...recordedBoot(machine), ima });
/** The machine, had it measured this. */
const measured = (log: Uint8Array, pcr10: Uint8Array, more: Partial<ImaEvidence> = {}) => {
  const recorded = recordedBoot('direct-kernel');
  const pcrs = new Map(recorded.quoted.get('sha256')).set(10, pcr10);
  return readBootFacts({ ...recorded, quoted: new Map([['sha256', pcrs]]), ima: { log, ...more } });
};
const aggregate = encodeEntries(entriesOf('direct-kernel').slice(0, 1));
const aggregateDigest = digestOf('sha256', entriesOf('direct-kernel')[0]?.templateData ?? new Uint8Array());
const file = (name: string, contents: string) => fileData(name, contents);
const logOf = (...data: readonly Uint8Array[]) => ({
  log: Buffer.concat([aggregate, ...data.map((one) => encodeEntry({ data: one }))]),
  pcr: extendAll('sha256', [aggregateDigest, ...data.map((one) => digestOf('sha256', one))]),
});
const withFiles = (...data: readonly Uint8Array[]) => {
  const { log, pcr } = logOf(...data);
  return measured(log, pcr);
};
const digest = (contents: string) => `sha256:${Buffer.from(digestOf('sha256', Buffer.from(contents))).toString('hex')}`;
const allow = (path: string, ...contents: readonly string[]) => ({ path, digests: contents.map(digest) });
const policyOf = (ima: Omit<ImaRule, 'policies'>, policies = ['tcb']) => ({ name: 'p', ima: { policies, ...ima } });
const imaOf = ({ ima }: BootFacts) => {
  if (!isKnown(ima)) throw new RangeError(ima.unknown);
  return ima;
};

describe.each(MACHINES)('the IMA log of %s', (machine) => {
  const entries = entriesOf(machine);
  const middle = Math.floor(entries.length / 2);

  test.each<readonly [string, ReturnType<typeof entriesOf>, string]>([
    ['without an entry', entries.toSpliced(middle, 1), 'E39'],
    ['without the last entry', entries.slice(0, -1), 'E39'],
    ['with an entry twice', entries.toSpliced(middle, 0, ...entries.slice(middle, middle + 1)), 'E39'],
    [
      'with entries in another order',
      [...entries.slice(0, 4), ...entries.slice(4, 6).toReversed(), ...entries.slice(6)],
      'E39',
    ],
    [
      'with a violation more',
      entries.map((one) => (one.number === middle ? { ...one, templateDigest: new Uint8Array(20) } : one)),
      'E39',
    ],
    [
      'with a violation less',
      entries.map((one) => (one.isViolation ? { ...one, templateDigest: digestOf('sha1', one.templateData) } : one)),
      'E39',
    ],
    [
      'with a name edited',
      entries.map((one) => (one.number === middle ? { ...one, templateData: one.templateData.with(-1, 1) } : one)),
      'E35',
    ],
    ['with the entry of another PCR', entries.map((one) => (one.number === middle ? { ...one, pcr: 11 } : one)), 'E37'],
    ['without boot_aggregate', entries.slice(1), 'E38'],
    ['of another boot', entriesOf(machine === 'direct-kernel' ? 'shim-grub-secure-boot' : 'direct-kernel'), 'E38'],
    ['that is empty', [], 'E39'],
  ])('%s is refused', (_what, changed, check) => {
    expect(refusalOf(() => read(machine, { log: encodeEntries(changed) }))).toEqual(denied(check, /./));
  });

  test('of another boot is refused, though its PCR 10 is quoted (E38)', () => {
    const other = machine === 'direct-kernel' ? 'shim-grub-secure-boot' : 'direct-kernel';
    const recorded = recordedBoot(machine);
    const pcrs = new Map(recorded.quoted.get('sha256')).set(10, readPcrVector(other, 'sha256', 10));
    const ima = { log: readVector(other, 'ima-binary.bin') };
    expect(refusalOf(() => readBootFacts({ ...recorded, quoted: new Map([['sha256', pcrs]]), ima }))).toEqual(
      denied('E38', /of another boot/),
    );
  });

  test('claimed to be by SHA-384, and filled with SHA-1, is refused (E39)', () => {
    const recorded = recordedBoot(machine, 'sha384');
    const ima = { log: readVector(machine, 'ima-binary.bin') };
    expect(refusalOf(() => readBootFacts({ ...recorded, ima }))).toEqual(denied('E39', /no part of the IMA log/));
  });

  test('filled with SHA-1 is for policies that say so (P13)', () => {
    const facts = readBootFacts(recordedBoot(machine, 'sha384'));
    const rule = { ignore: ['*'], keys: [KEY], violations: 2 };
    expect(explain(policyOf(rule), facts)).toMatchObject([{ rule: 'P13' }]);
    expect(explain(policyOf({ ...rule, allow_padded_sha1: true }), facts)).toEqual([]);
  });

  test('counts up to the quote: what comes behind is nobody’s word (E39)', () => {
    const log = Buffer.concat([encodeEntries(entries), encodeEntry({ data: file('/evil', 'x') })]);
    const facts = imaOf(read(machine, { log }));
    expect(facts.entryCount).toBe(entries.length);
    expect(facts.files.some(({ name }) => name === '/evil')).toBe(false);
  });

  test('never has fewer entries than before in a boot (E39)', () => {
    const log = encodeEntries(entries);
    expect(imaOf(read(machine, { log, atLeast: entries.length })).entryCount).toBe(entries.length);
    expect(refusalOf(() => read(machine, { log, atLeast: entries.length + 1 }))).toEqual(
      denied('E39', /vouches for \d+ entries of the IMA log, and had \d+ before/),
    );
  });

  test('meets the policy that was learned from it, and no file may change', () => {
    const facts = readBootFacts(recordedBoot(machine));
    const policy = learn([facts], { name: 'learned' });
    expect(judge([policy], facts)).toMatchObject({ isMet: true, isImaJudged: true });
    const rule = policy.ima ?? { policies: [] };
    for (const [index, { path }] of (rule.allow ?? []).entries()) {
      const less = { ...policy, ima: { ...rule, allow: rule.allow?.toSpliced(index, 1) } };
      expect(explain(less, facts)).toMatchObject([
        { rule: 'E40', message: expect.stringContaining(JSON.stringify(path)) },
      ]);
    }
  });
});

describe('files', () => {
  test.each<readonly [string, Omit<ImaRule, 'policies'>, readonly Uint8Array[]]>([
    ['by path and digest', { allow: [allow('/bin/a', 'other', 'a')] }, [file('/bin/a', 'a')]],
    ['by pattern and digest', { allow: [allow('/bin/*', 'a')] }, [file('/bin/a', 'a')]],
    [
      'whose contents do not matter',
      { allow: [allow('/bin/a', 'a')], ignore: ['/var/*'] },
      [file('/bin/a', 'a'), file('/var/log', 'z')],
    ],
    [
      'of a path that is listed twice',
      { allow: [allow('/bin/a', 'a'), allow('/bin/a', 'b')] },
      [file('/bin/a', 'a'), file('/bin/a', 'b')],
    ],
  ])('%s are allowed', (_what, rule, data) => {
    expect(explain(policyOf(rule), withFiles(...data))).toEqual([]);
  });

  const unreadable = Buffer.concat([field('sha256:nothing'), field('/bin/a\0')]);
  test.each<readonly [string, Omit<ImaRule, 'policies'>, readonly Uint8Array[], RegExp]>([
    [
      'of another digest',
      { allow: [allow('/bin/a', 'a')] },
      [file('/bin/a', 'b')],
      /^IMA entry 1 \(PCR 10, ima-ng\): the file "\/bin\/a" is sha256:3e23/,
    ],
    ['of another path', { allow: [allow('/bin/a', 'a')] }, [file('/bin/b', 'a')], /"\/bin\/b"/],
    [
      'of a path that begins so',
      { allow: [allow('/bin/a', 'a')], ignore: ['/var/'] },
      [file('/var/x', 'a')],
      /"\/var\/x"/,
    ],
    ['that cannot be read', { ignore: ['*'], allow: [] }, [unreadable], /^IMA entry 1 .*cannot be read/],
    ['behind others', { allow: [allow('/bin/a', 'a')] }, [file('/bin/a', 'a'), file('/bin/b', 'b')], /^IMA entry 2 /],
  ])('%s are not (E40)', (_what, rule, data, message) => {
    expect(explain(policyOf(rule), withFiles(...data))).toMatchObject([
      { rule: 'E40', message: expect.stringMatching(message) },
    ]);
  });

  test('of an unknown template are not (E40)', () => {
    const data = file('/bin/a', 'a');
    const log = Buffer.concat([aggregate, encodeEntry({ template: 'ima-new', data })]);
    const facts = measured(log, extendAll('sha256', [aggregateDigest, digestOf('sha256', data)]));
    expect(explain(policyOf({ allow: [allow('*', 'a')], ignore: ['*'] }), facts)).toMatchObject([{ rule: 'E40' }]);
  });

  test('that were open for writing count as violations, up to what a policy allows (E36)', () => {
    const facts = readBootFacts(recordedBoot('direct-kernel'));
    const rule = { ignore: ['*'], allow: [] };
    expect(explain(policyOf(rule), facts)).toMatchObject([
      { rule: 'E36', found: '2', wanted: '0 or fewer', event: { number: 17, pcr: 10, type: 'ima-sig' } },
    ]);
    expect(explain(policyOf({ ...rule, violations: 1 }), facts)).toMatchObject([{ rule: 'E36' }]);
    expect(explain(policyOf({ ...rule, violations: 2 }), facts)).toEqual([]);
  });
});

describe('signatures', () => {
  const recorded = imaOf(readBootFacts(recordedBoot('direct-kernel')));
  const others = recorded.files.flatMap(({ name = '' }) => (SIGNED.includes(name) || name === '' ? [] : [name]));
  const rule = { keys: [KEY], ignore: others };
  const signed = (name: string) =>
    recorded.files.find((one) => one.name === name) ?? { digest: '', signature: new Uint8Array() };
  const entry = (name: string, hex: string, signature: Uint8Array) =>
    Buffer.concat([
      field(digestField('sha256', Buffer.from(hex.slice('sha256:'.length), 'hex'))),
      field(`${name}\0`),
      field(signature),
    ]);
  const facts = (...data: readonly Uint8Array[]) => {
    const log = Buffer.concat([aggregate, ...data.map((one) => encodeEntry({ template: 'ima-sig', data: one }))]);
    return measured(log, extendAll('sha256', [aggregateDigest, ...data.map((one) => digestOf('sha256', one))]));
  };
  const [hello, conf] = SIGNED.map(signed);
  if (hello === undefined || conf === undefined) throw new RangeError('the recorded machine has two signed files');

  test('by a listed key allow a file under any path', () => {
    expect(explain(policyOf({ ...rule, violations: 2 }), readBootFacts(recordedBoot('direct-kernel')))).toEqual([]);
    expect(explain(policyOf({ keys: [KEY] }), facts(entry('/usr/bin/new', hello.digest, hello.signature)))).toEqual([]);
  });

  const bit = (bytes: Uint8Array, index: number) => bytes.map((byte, at) => (at === index ? byte ^ 1 : byte));
  test.each<readonly [string, Uint8Array]>([
    ['of another file', conf.signature],
    ['with another key ID', bit(hello.signature, 4)],
    ['of another kind', bit(hello.signature, 0)],
    ['of another version', bit(hello.signature, 1)],
    ['by another hash', bit(hello.signature, 2)],
    ['with another length', bit(hello.signature, 8)],
    ['with a bit changed', bit(hello.signature, 99)],
    ['with the last bit changed', bit(hello.signature, hello.signature.length - 1)],
    ['cut off', hello.signature.subarray(0, -1)],
    ['with a byte behind it', Buffer.concat([hello.signature, Buffer.of(0)])],
    ['without its value', hello.signature.subarray(0, 9)],
    ['empty', new Uint8Array()],
  ])('%s do not (E40)', (_what, signature) => {
    expect(explain(policyOf({ keys: [KEY] }), facts(entry('/bin/hello', hello.digest, signature)))).toMatchObject([
      { rule: 'E40' },
    ]);
  });

  test('are nothing without the key (E40)', () => {
    expect(explain(policyOf({ allow: [] }), facts(entry('/bin/hello', hello.digest, hello.signature)))).toMatchObject([
      { rule: 'E40' },
    ]);
  });
});

describe('what IMA measures', () => {
  test('is known by the measured command line alone (E41)', () => {
    const facts = readBootFacts(recordedBoot('direct-kernel'));
    const rule = { ignore: ['*'], allow: [], violations: 2 };
    expect(explain(policyOf(rule, ['tcb', 'critical_data']), facts)).toMatchObject([
      {
        rule: 'E41',
        found: 'ima_policy=tcb',
        wanted: 'ima_policy=tcb ima_policy=critical_data',
        event: { number: 21 },
      },
    ]);
    const hidden = readBootFacts({ ...recordedBoot('direct-kernel'), commandLineHint: undefined });
    expect(explain(policyOf(rule), hidden)).toMatchObject([{ rule: 'E41', found: 'nothing' }]);
    expect(bootSelectors(hidden, judge([], hidden)).filter((one) => one.startsWith('ima:'))).toEqual([]);
  });

  test('is nothing where IMA is off (C22)', () => {
    const facts = measured(new Uint8Array(), new Uint8Array(32));
    expect(explain(policyOf({ ignore: ['*'], allow: [] }), facts)).toMatchObject([
      { rule: 'C22', message: expect.stringContaining('IMA is off') },
    ]);
  });
});

describe('what the log gained', () => {
  const [first, second] = [file('/bin/a', 'a'), file('/bin/b', 'b')];
  const policy = policyOf({ allow: [allow('/bin/*', 'a', 'b')] });
  const before = withFiles(first);
  const after = nextImaCheckpoint(before, judge([policy], before));
  const whole = logOf(first, second);
  const gained = encodeEntry({ data: second });

  test('is enough where the same policy allowed what came before', () => {
    const facts = measured(gained, whole.pcr, { after });
    expect(imaOf(facts)).toMatchObject({ entryCount: 3, files: [{ number: 2, name: '/bin/b' }] });
    const verdict = judge([policy], facts);
    expect(verdict).toMatchObject({ isMet: true });
    expect(nextImaCheckpoint(facts, verdict)).toEqual(nextImaCheckpoint(measured(whole.log, whole.pcr), verdict));
  });

  test('may be nothing', () => {
    expect(judge([policy], measured(new Uint8Array(), logOf(first).pcr, { after }))).toMatchObject({ isMet: true });
  });

  test('is not enough for another policy (P14)', () => {
    const other = policyOf({ allow: [allow('/bin/*', 'b')] });
    expect(explain(other, measured(gained, whole.pcr, { after }))).toMatchObject([
      { rule: 'P14', wanted: 'the whole IMA log' },
    ]);
    expect(explain(other, before)).toMatchObject([{ rule: 'E40' }]);
  });

  test.each<readonly [string, Uint8Array]>([
    ['nothing', new Uint8Array()],
    ['what was there before', encodeEntry({ data: first })],
    ['another file', encodeEntry({ data: file('/bin/c', 'c') })],
  ])('is refused where it is %s (E39)', (_what, log) => {
    expect(refusalOf(() => measured(log, whole.pcr, { after }))).toEqual(
      denied('E39', /no part of the IMA log from entry 2 gives/),
    );
  });
});

test('a caller can do something else in between', () => {
  const data = Array.from({ length: 2_500 }, (_, index) => file(`/bin/${index}`, 'a'));
  const { log, pcr } = logOf(...data);
  const recorded = recordedBoot('direct-kernel');
  const pcrs = new Map(recorded.quoted.get('sha256')).set(10, pcr);
  const slicesOf = <T>(work: Generator<void, T>): readonly [number, T] => {
    for (let count = 0; ; count++) {
      const { done, value } = work.next();
      if (done === true) return [count, value];
    }
  };
  const [readings, facts] = slicesOf(
    readBootFactsInSlices({ ...recorded, quoted: new Map([['sha256', pcrs]]), ima: { log } }),
  );
  const [judgements, verdict] = slicesOf(judgeInSlices([policyOf({ allow: [allow('/bin/*', 'a')] })], facts));
  expect(readings).toBeGreaterThan(8); // 256 entries at a time
  expect(judgements).toBeGreaterThan(8); // what is allowed by patterns takes longer than a list
  expect(verdict).toMatchObject({ isMet: true });
});

function readKey(): Uint8Array {
  return readVector('direct-kernel', 'ima_x509.der');
}
