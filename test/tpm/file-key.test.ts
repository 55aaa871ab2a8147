import { describe, expect, test } from 'vitest';
import { fileKey, findFileKey as findKeyIn } from '../../src/tpm/ima/file-key.ts';
import { imaFieldsOf } from '../../src/tpm/ima/ima-fields.ts';
import { digestField, field } from './made-ima-log.ts';

const findFileKey = (template: string, data: Buffer) =>
  findKeyIn(template, Buffer.concat([Buffer.alloc(3, 0xff), data, Buffer.alloc(9)]), 3, 3 + data.length);
const HEX = '3b'.repeat(32);
const digest = Buffer.from(HEX, 'hex');
const ng = (name: string, algorithm = 'sha256', bytes: Uint8Array = digest) =>
  Buffer.concat([field(digestField(algorithm, bytes)), field(name)]);

describe('the key of an entry is that of the file that it says', () => {
  test.each<readonly [string, string, Buffer, string, string]>([
    ['ima-ng', 'ima-ng', ng('/bin/a\0'), '/bin/a', `sha256:${HEX}`],
    ['ima-ng by SHA-1', 'ima-ng', ng('/bin/a\0', 'sha1', digest.subarray(0, 20)), '/bin/a', `sha1:${HEX.slice(0, 40)}`],
    ['a name that is not ASCII', 'ima-ng', ng('/bin/ä\u{1f600}\0'), '/bin/ä\u{1f600}', `sha256:${HEX}`],
    ['ima-sig', 'ima-sig', Buffer.concat([ng('/bin/a\0'), field('signature')]), '/bin/a', `sha256:${HEX}`],
    ['ima-sig without a signature', 'ima-sig', Buffer.concat([ng('/bin/a\0'), field('')]), '/bin/a', `sha256:${HEX}`],
  ])('%s', (_what, template, data, name, text) => {
    expect(findFileKey(template, data)).toBe(fileKey(name, text));
    expect(imaFieldsOf({ number: 1, template, templateData: data })).toMatchObject({ name });
  });
});

describe('an entry whose bytes do not tell has none, or that of no file', () => {
  test.each<readonly [string, string, Buffer]>([
    ['of another template', 'ima-ngv2', ng('/bin/a\0')],
    ['cut off', 'ima-ng', ng('/bin/a\0').subarray(0, -1)],
    ['cut off in a length', 'ima-ng', ng('/bin/a\0').subarray(0, 2)],
    ['empty', 'ima-ng', Buffer.alloc(0)],
    ['with something behind', 'ima-ng', Buffer.concat([ng('/bin/a\0'), Buffer.from([0])])],
    ['ima-sig without its third field', 'ima-sig', ng('/bin/a\0')],
    ['ima-sig with something behind', 'ima-sig', Buffer.concat([ng('/bin/a\0'), field('s'), Buffer.from([0])])],
    ['with a length of 2^32 - 1', 'ima-ng', Buffer.concat([Buffer.alloc(4, 0xff), ng('/bin/a\0')])],
    ['without the NUL behind the name', 'ima-ng', ng('/bin/a')],
    ['with two of them', 'ima-ng', ng('/bin/a\0\0')],
    ['with another name', 'ima-ng', ng('/bin/b\0')],
    ['that calls its digest fs-verity’s', 'ima-ng', ng('/bin/a\0', 'verity:sha256')],
    ['with a digest of another length', 'ima-ng', ng('/bin/a\0', 'sha256', digest.subarray(1))],
  ])('%s', (_what, template, data) => {
    const keys = [`sha256:${HEX}`, `verity:sha256:${HEX}`, `sha256:${HEX.slice(2)}`, `sha1:${HEX}`];
    const key = findFileKey(template, data);
    for (const text of keys) expect(key ?? 'none').not.toBe(fileKey('/bin/a', text));
  });
});

describe('no entry says of a file', () => {
  test.each<readonly [string, string, string]>([
    ['a name with a NUL', '/bin/a\0b', `sha256:${HEX}`],
    ['no name', '', `sha256:${HEX}`],
    ['half a character', '/bin/\ud800', `sha256:${HEX}`],
    ['a digest of another length', '/bin/a', `sha256:${HEX.slice(2)}`],
    ['a digest that is no hex', '/bin/a', `sha256:${HEX.slice(2)}zz`],
    ['a digest without a name', '/bin/a', HEX],
  ])('%s', (_what, name, text) => {
    expect(fileKey(name, text)).toBeUndefined();
  });

  test('of fs-verity what it says of the contents themselves', () => {
    expect(fileKey('/bin/a', `verity:sha256:${HEX}`)).not.toBe(fileKey('/bin/a', `sha256:${HEX}`));
  });
});
