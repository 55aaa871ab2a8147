import { describe, expect, test } from 'vitest';
import {
  commaSeparated,
  durationSeconds,
  oneOf,
  optionalToggle,
  text,
  texts,
  timeoutMs,
  toggle,
  trueOrFalse,
  wholeNumber,
} from '../../src/cli/flag-kinds.ts';
import { parseFlags } from '../../src/cli/flags.ts';

const flags = {
  name: text('a text'),
  path: text('a text with a default', 'PATH', '/tmp/x'),
  selector: texts('texts'),
  audience: commaSeparated('texts with commas', 'NAME'),
  admin: toggle('a switch'),
  maybe: optionalToggle('a switch with three states'),
  banned: trueOrFalse('a word'),
  ttl: wholeNumber('a number', 'SECONDS', 600),
  life: durationSeconds('a duration'),
  timeout: timeoutMs('a timeout', 5000),
  output: oneOf('a word of these', ['pretty', 'json']),
};

const accepted = [
  ['nothing', [], {}],
  ['one dash', ['-name', 'a'], { name: 'a' }],
  ['two dashes', ['--name', 'a'], { name: 'a' }],
  ['a value after =', ['-name=a'], { name: 'a' }],
  ['a value after = and two dashes', ['--name=a'], { name: 'a' }],
  ['= inside of a value', ['-name=a=b'], { name: 'a=b' }],
  ['an empty value', ['-name='], { name: '' }],
  ['a value that begins with a dash', ['-name', '-x'], { name: '-x' }],
  ['a value with newlines', ['-name=a\nb'], { name: 'a\nb' }],
  ['the last of several', ['-name', 'a', '-name', 'b'], { name: 'b' }],
  ['all of what may be repeated', ['-selector', 'a:1', '-selector=b:2'], { selector: ['a:1', 'b:2'] }],
  ['commas where they separate', ['-audience', 'a,b'], { audience: ['a', 'b'] }],
  ['a default that was replaced', ['-path', '/y'], { path: '/y' }],
  ['a switch alone', ['-admin', '-name', 'a'], { admin: true, name: 'a' }],
  ['a switch with true', ['-admin=true'], { admin: true }],
  ['a switch with 1', ['-admin=1'], { admin: true }],
  ['a switch with F', ['-admin=F'], { admin: false }],
  ['a switch that is off again', ['-admin', '-admin=false'], { admin: false }],
  ['an optional switch that is off', ['-maybe=false'], { maybe: false }],
  ['true as a word', ['-banned', 'true'], { banned: true }],
  ['false as a word', ['-banned', 'false'], { banned: false }],
  ['another word for both', ['-banned', 'all'], { banned: undefined }],
  ['a number', ['-ttl', '60'], { ttl: 60 }],
  ['a number in hexadecimal digits', ['-ttl', '0x10'], { ttl: 16 }],
  ['a duration', ['-life', '1h30m'], { life: 5400 }],
  ['a duration that is rounded up', ['-life', '1500ms'], { life: 2 }],
  ['a timeout', ['-timeout', '250ms'], { timeout: 250 }],
  ['a word of a list', ['-output', 'json'], { output: 'json' }],
  ['a word of a list in capitals', ['-output', 'JSON'], { output: 'json' }],
  ['-- at the end', ['-name', 'a', '--'], { name: 'a' }],
] as const;

const defaults = {
  name: '',
  path: '/tmp/x',
  selector: [],
  audience: [],
  admin: false,
  maybe: undefined,
  banned: undefined,
  ttl: 600,
  life: 0,
  timeout: 5000,
  output: 'pretty',
};

const rejected = [
  ['an unknown flag', ['-zzz'], '-zzz is not known: -h lists'],
  ['a mistyped flag', ['-selecter', 'a:b'], 'did you mean -selector?'],
  ['a flag in another case', ['-NAME', 'a'], 'did you mean -name?'],
  ['a name of every object', ['-constructor', 'a'], '-constructor is not known'],
  ['a value that is missing', ['-name'], 'flag -name needs a value: -name TEXT'],
  ['three dashes', ['---name', 'a'], '"---name" is no flag'],
  ['a dash and =', ['-=a'], '"-=a" is no flag'],
  ['a lone dash', ['-'], '"-" is not expected here'],
  ['a word without a flag', ['word'], '"word" is not expected here'],
  ['a word after a switch', ['-admin', 'false'], 'a switch takes -name=false'],
  ['a word after --', ['--', 'word'], '"word" is not expected here'],
  ['a switch that is neither', ['-admin=yes'], '-admin: "yes" is neither true nor false'],
  ['a number that is none', ['-ttl', 'abc'], '-ttl: "abc" is no whole number'],
  ['a negative number', ['-ttl', '-1'], '-ttl: "-1" is no whole number of 0 or more'],
  ['an octal number', ['-ttl', '010'], '-ttl: "010" is no whole number'],
  ['a number beyond int32', ['-ttl', '2147483648'], '-ttl: 2147483648 is too large: 2147483647 at most'],
  ['a duration without a unit', ['-life', '60'], 'give a number and a unit'],
  ['a negative duration', ['-life', '-1s'], '-life: -1s is negative'],
  ['a word that is not in the list', ['-output', 'xml'], '-output: "xml" is none of pretty, json'],
] as const;

describe('flags', () => {
  test.each(accepted)('take %s', (_what, args, values) => {
    expect(parseFlags(flags, args)).toEqual({
      values: { ...defaults, ...values },
      helpWanted: false,
      operands: [],
    });
  });

  test.each(rejected)('refuse %s', (_what, args, message) => {
    expect(() => parseFlags(flags, args)).toThrow(
      expect.objectContaining({ code: 'ARGUMENT_INVALID', message: expect.stringContaining(message) }),
    );
  });

  test.each(['-h', '--h', '-help', '--help'])('see %s, wherever it stands', (flag) => {
    expect(parseFlags(flags, [flag]).helpWanted).toBe(true);
    expect(parseFlags(flags, ['-name', 'a', flag, '-zzz']).helpWanted).toBe(true);
  });

  test('leave -h to a command that has one', () => {
    expect(parseFlags({ h: toggle('its own') }, ['-h'])).toEqual({
      values: { h: true },
      helpWanted: false,
      operands: [],
    });
  });

  test.each([
    ['the first word of its own', ['-admin', './run', '-name', 'b'], ['./run', '-name', 'b']],
    ['what follows --', ['-admin', '--', '-x', 'y'], ['-x', 'y']],
    ['nothing', ['-admin'], []],
  ])('hand on operands where they are allowed: %s', (_what, args, operands) => {
    expect(parseFlags(flags, args, 'end')).toEqual({
      values: { ...defaults, admin: true },
      helpWanted: false,
      operands,
    });
  });
});

describe('operands with flags on both sides', () => {
  const flags = { name: text('', 'NAME'), loud: toggle('') };
  test.each([
    [
      ['a', '-name', 'n', 'b', '-loud', 'c'],
      ['a', 'b', 'c'],
    ],
    [
      ['-name=n', '-loud', 'a', 'b', 'c'],
      ['a', 'b', 'c'],
    ],
    [
      ['a', '-name', 'n', '-loud', '--', '-b', 'c'],
      ['a', '-b', 'c'],
    ],
  ])('%j', (args, operands) => {
    expect(parseFlags(flags, args, 'anywhere')).toEqual({
      values: { name: 'n', loud: true },
      helpWanted: false,
      operands,
    });
  });
});
