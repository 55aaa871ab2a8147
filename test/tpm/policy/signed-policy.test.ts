import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  MAX_POLICY_FILE_BYTES,
  openSignedPolicy,
  parsePolicyKey,
  requireVersion,
} from '../../../src/tpm/policy/signed-policy.ts';
import { denied, refusalOf } from '../refusals.ts';

const TEXT = '{"version": 3, "policies": []}';
const CONTENT = Buffer.from(TEXT);
const KEYS = {
  Ed25519: [generateKeyPairSync('ed25519'), null],
  'P-256': [generateKeyPairSync('ec', { namedCurve: 'P-256' }), 'sha256'],
  'P-384': [generateKeyPairSync('ec', { namedCurve: 'P-384' }), 'sha384'],
  'P-521': [generateKeyPairSync('ec', { namedCurve: 'P-521' }), 'sha512'],
} as const;
const NAMES = ['Ed25519', 'P-256', 'P-384', 'P-521'] as const;
const pemOf = (key: KeyObject) => key.export({ type: 'spki', format: 'pem' }).toString();
const publicKeyOf = (name: (typeof NAMES)[number]) => parsePolicyKey(pemOf(KEYS[name][0].publicKey));
const signatureOf = (name: (typeof NAMES)[number], content: Uint8Array = CONTENT) =>
  sign(KEYS[name][1], content, KEYS[name][0].privateKey);
const envelope = (fields: object) => Buffer.from(JSON.stringify(fields));

describe.each(NAMES)('a policy signed with %s', (name) => {
  const signature = signatureOf(name);
  test.each<readonly [string, Parameters<typeof openSignedPolicy>[0]]>([
    ['with the signature beside it', { content: CONTENT, signature }],
    [
      'with the signature beside it in base64',
      { content: CONTENT, signature: Buffer.from(`${signature.toString('base64')}\n`) },
    ],
    [
      'in an envelope',
      { content: envelope({ payload: CONTENT.toString('base64'), signature: signature.toString('base64') }) },
    ],
  ])('is opened %s', (_how, file) => {
    expect(openSignedPolicy(file, publicKeyOf(name))).toBe(TEXT);
  });

  const other = NAMES[(NAMES.indexOf(name) + 1) % NAMES.length] ?? 'Ed25519';
  test.each<readonly [string, Parameters<typeof openSignedPolicy>[0]]>([
    ['with a byte changed', { content: Buffer.from(TEXT.replace('3', '4')), signature }],
    ['with a byte behind it', { content: Buffer.from(`${TEXT} `), signature }],
    [
      'with a bit of the signature changed',
      { content: CONTENT, signature: signature.map((byte, i) => (i === 9 ? byte ^ 1 : byte)) },
    ],
    ['signed by another key', { content: CONTENT, signature: signatureOf(other) }],
    ['with an empty signature', { content: CONTENT, signature: new Uint8Array() }],
    ['with a signature of 2 KiB', { content: CONTENT, signature: new Uint8Array(2_048).fill(7) }],
    [
      'in an envelope of another payload',
      { content: envelope({ payload: Buffer.from('{}').toString('base64'), signature: signature.toString('base64') }) },
    ],
  ])('is refused %s (P17)', (_what, file) => {
    expect(refusalOf(() => openSignedPolicy(file, publicKeyOf(name)))).toEqual(
      denied('P17', /not signed by the pinned key/),
    );
  });
});

test.each<readonly [string, Uint8Array]>([
  ['a policy alone', CONTENT],
  ['no JSON', Buffer.from('policy')],
  ['JSON that is no object', Buffer.from('null')],
  ['an envelope of numbers', envelope({ payload: 1, signature: 2 })],
  ['an envelope that holds more', envelope({ payload: '', signature: '', version: 9 })],
])('%s without a signature is refused (P17)', (_what, content) => {
  expect(refusalOf(() => openSignedPolicy({ content }, publicKeyOf('Ed25519')))).toEqual(
    denied('P17', /is not signed/),
  );
});

test('a file that is too large is refused before it is read (P17)', () => {
  const content = new Uint8Array(MAX_POLICY_FILE_BYTES + 1);
  expect(refusalOf(() => openSignedPolicy({ content }, publicKeyOf('Ed25519')))).toEqual(
    denied('P17', /at most 33554432/),
  );
});

test('a version does not go back, and may stay (P18)', () => {
  expect(refusalOf(() => requireVersion(3, 4))).toEqual(denied('P18', /has version 3, and version 4 was in force/));
  requireVersion(4, 4);
  requireVersion(1, 0);
});

test.each<readonly [string, string, RegExp]>([
  ['no PEM', 'key', /is not a public key in PEM/],
  ['an RSA key', pemOf(generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey), /not with rsa$/],
  ['another curve', pemOf(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey), /not with ec secp256k1/],
])('%s is no key of a policy', (_what, pem, message) => {
  expect(refusalOf(() => parsePolicyKey(pem))).toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringMatching(message),
  });
});
