import { constants } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Pkcs11Token } from '../../../src/pkcs11/pkcs11-token.ts';
import { RefusedPins } from '../../../src/pkcs11/refused-pins.ts';
import { labelPrefix, newCkaId } from '../../../src/plugins/pkcs11/key-names.ts';
import type { TokenKeys } from '../../../src/plugins/pkcs11/token-keys.ts';
import { SoftHsmToken } from '../../../src/testing/softhsm-token.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../harness/temporary-folder.ts';
import { digestOf, isSigned, log, logged, type OpenOptions, openKeys } from './open-keys.ts';

// One SoftHSM for all tests of this file: the module finds its tokens by a variable of the process.

const resources = new AsyncDisposableStack();
let token: SoftHsmToken;
let folder: TemporaryFolder;
beforeAll(async () => {
  folder = resources.use(await createTemporaryFolder());
  token = resources.use(await SoftHsmToken.create({ label: 'ca' }));
  Object.assign(process.env, token.environment, { PKCS11_TEST_PIN: token.pin });
});
afterAll(() => resources.disposeAsync());

const configOf = (more: object = {}) => ({
  ...{ module_path: token.modulePath, token_label: 'ca', pin_env: 'PKCS11_TEST_PIN', ...more },
});
const open = (more: object = {}, others: Partial<OpenOptions> = {}): Promise<TokenKeys> =>
  openKeys({ folder: folder.path, config: configOf(more), ...others });
const refusal = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

/** What `pkcs11-tool` shows of each object with a label. */
async function objectsOf(label: string, type: 'privkey' | 'pubkey'): Promise<readonly string[]> {
  const listed = await token.tool('--list-objects', '--type', type);
  const blocks = listed.split(/^(?=(?:Private|Public) Key Object)/m);
  return blocks.filter((block) => new RegExp(`^ *label: +${label}$`, 'm').test(block));
}

describe.each(['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-4096'] as const)('a key %s', (type) => {
  const HASHES = ['sha224', 'sha256', 'sha384', 'sha512', 'sha3-256', 'sha512-256'] as const;

  test('signs digests of every hash, which OpenSSL verifies, and cannot be read', async () => {
    await using keys = await open({ key_identifier_value: type });
    const { publicKey, fingerprint } = await keys.generate('a', type);
    for (const hash of HASHES) {
      const signed = await keys.sign('a', digestOf(hash, hash), { scheme: 'default', hash });
      expect(isSigned(publicKey, hash, hash, signed.signature), hash).toBe(true);
      expect(signed.fingerprint).toBe(fingerprint);
    }
    const [shown, ...others] = await objectsOf(`assayer:example.org:server:${type}:a`, 'privkey');
    expect(others).toEqual([]);
    expect(shown).toMatch(/Usage: +sign$/m);
    expect(shown).toMatch(/Access: +sensitive, always sensitive, never extractable, local$/m);
  });
});

test('an RSA key signs by PSS with every hash and length of a salt, whatever the module itself knows', async () => {
  await using keys = await open({ key_identifier_value: 'pss' });
  const { publicKey } = await keys.generate('a', 'rsa-2048');
  const { RSA_PKCS1_PSS_PADDING: padding, RSA_PSS_SALTLEN_AUTO: saltLength } = constants;
  for (const hash of ['sha256', 'sha384', 'sha512', 'sha3-256', 'sha512-256'] as const) {
    for (const asked of [-1, 0, 20]) {
      const signed = await keys.sign('a', digestOf(hash, 'm'), { scheme: 'pss', hash, saltLength: asked });
      const shown = `${hash}, salt ${asked}`;
      expect(isSigned(publicKey, hash, 'm', signed.signature, { padding, saltLength }), shown).toBe(true);
    }
  }
});

test.each([
  [
    'a digest of another length',
    'a',
    'ec-p256',
    31,
    { scheme: 'default', hash: 'sha256' },
    /a sha256 digest has 32 bytes, this has 31/,
  ],
  ['no digest', 'a', 'ec-p256', 0, { scheme: 'default', hash: 'sha512' }, /has 64 bytes, this has 0/],
  ['PSS for an EC key', 'a', 'ec-p256', 32, { scheme: 'pss', hash: 'sha256', saltLength: -1 }, /PSS is for RSA keys/],
  [
    'a salt that does not fit',
    'r',
    'rsa-2048',
    32,
    { scheme: 'pss', hash: 'sha256', saltLength: 223 },
    /a salt of 223 bytes does not fit, 0 to 222 do/,
  ],
  ['a negative salt', 'r', 'rsa-2048', 32, { scheme: 'pss', hash: 'sha256', saltLength: -2 }, /a salt of -2 bytes/],
] as const)('%s is refused', async (_what, id, type, length, options, message) => {
  await using keys = await open({ key_identifier_value: 'refused' });
  if (keys.find(id) === undefined) await keys.generate(id, type);
  await expect(keys.sign(id, new Uint8Array(length), options)).rejects.toThrow(refusal('ARGUMENT_INVALID', message));
});

test('the next process finds the keys, and a replaced one is gone from the token', async () => {
  const config = { key_identifier_value: 'restart' };
  const first = await open(config);
  const [a, b] = [await first.generate('a', 'ec-p256'), await first.generate('b', 'ec-p384')];
  await first[Symbol.asyncDispose]();
  await using second = await open(config);
  expect(second.list()).toEqual([a, b]);
  const { signature } = await second.sign('b', digestOf('sha384', 'again'), { scheme: 'default', hash: 'sha384' });
  expect(isSigned(b.publicKey, 'sha384', 'again', signature)).toBe(true);
  const replaced = await second.generate('a', 'rsa-2048');
  expect(replaced.fingerprint).not.toBe(a.fingerprint);
  expect(second.list()).toEqual([replaced, b]);
  for (const type of ['privkey', 'pubkey'] as const) {
    expect(await objectsOf('assayer:example.org:server:restart:a', type)).toHaveLength(1);
  }
  await using third = await open(config);
  expect(third.list()).toEqual([replaced, b]);
});

test('those who share a token neither see nor touch the keys of one another, nor those of other programs', async () => {
  await token.tool(
    '--keypairgen',
    '--key-type',
    'EC:prime256v1',
    '--id',
    '0102',
    '--label',
    'assayer:example.org:server:x:a',
  );
  const owners = [
    [{ key_identifier_value: 'x' }, {}],
    [{ key_identifier_value: 'y' }, {}],
    [{ key_identifier_value: 'x' }, { side: 'agent' }],
    [{ key_identifier_value: 'x' }, { trustDomain: 'other.org' }],
  ] as const;
  await using stack = new AsyncDisposableStack();
  const all: TokenKeys[] = [];
  for (const [config, others] of owners) all.push(stack.use(await open(config, others)));
  expect(all.map((keys) => keys.list())).toEqual([[], [], [], []]);
  const made = await Promise.all(all.map((keys) => keys.generate('a', 'ec-p256')));
  const again = await all[0]?.generate('a', 'ec-p256');
  expect(all.map((keys) => keys.list())).toEqual([[again], [made[1]], [made[2]], [made[3]]]);
  for (const [index, [config, others]] of owners.entries()) {
    await using keys = await open(config, others);
    expect(keys.list()).toEqual(index === 0 ? [again] : [made[index]]);
  }
  expect(await objectsOf('assayer:example.org:server:x:a', 'privkey')).toHaveLength(2); // ours, and that of pkcs11-tool
});

describe('a process that was killed', () => {
  const type = 'ec-p256';

  /** A key as one leaves it that is killed before it deletes the old one. */
  async function makeBeside(label: string, madeAt: number): Promise<Uint8Array> {
    await using raw = await Pkcs11Token.open({
      ...{ modulePath: token.modulePath, selection: { label: 'ca' }, maxSessions: 1, log },
      readPin: async () => token.pin,
      refusedPins: new RefusedPins(async () => folder.path, log),
    });
    return await raw.generate({ label, ckaId: newCkaId(0n, madeAt) }, type);
  }

  test('between making a key and deleting the old one leaves the new one, and the next start deletes the old one', async () => {
    const config = { key_identifier_value: 'killed' };
    const label = `${labelPrefix({ trustDomain: 'example.org', side: 'server', identifier: 'killed' })}a`;
    const first = await open(config);
    await first.generate('a', type);
    await first[Symbol.asyncDispose]();
    const newer = await makeBeside(label, Date.now() + 1000);
    await makeBeside(label, 1000);
    expect(await objectsOf(label, 'privkey')).toHaveLength(3);
    await using second = await open(config);
    expect(second.list().map(({ publicKey }) => publicKey)).toEqual([newer]);
    expect(await objectsOf(label, 'privkey')).toHaveLength(1);
    const { signature } = await second.sign('a', digestOf('sha256', 'x'), { scheme: 'default', hash: 'sha256' });
    expect(isSigned(newer, 'sha256', 'x', signature)).toBe(true);
  });

  test('in the midst of deleting leaves half a key, which counts no more', async () => {
    const config = { key_identifier_value: 'half' };
    const label = `${labelPrefix({ trustDomain: 'example.org', side: 'server', identifier: 'half' })}a`;
    await makeBeside(label, 1000);
    const [shown] = await objectsOf(label, 'privkey');
    const [, id = ''] = /^ *ID: +([0-9a-f]+)$/m.exec(shown ?? '') ?? [];
    await token.tool('--delete-object', '--type', 'privkey', '--id', id);
    await using keys = await open(config);
    expect(keys.list()).toEqual([]);
    expect(await objectsOf(label, 'pubkey')).toEqual([]);
  });
});

test('a key that somebody removes from the token is missed by its name, and another can be made', async () => {
  await using keys = await open({ key_identifier_value: 'removed' });
  await keys.generate('a', 'ec-p256');
  const [shown] = await objectsOf('assayer:example.org:server:removed:a', 'privkey');
  const [, id = ''] = /^ *ID: +([0-9a-f]+)$/m.exec(shown ?? '') ?? [];
  await token.tool('--delete-object', '--type', 'privkey', '--id', id);
  const digest = digestOf('sha256', 'x');
  await expect(keys.sign('a', digest, { scheme: 'default', hash: 'sha256' })).rejects.toThrow(
    refusal('KEY_NOT_FOUND', /has no key with the label "assayer:example.org:server:removed:a" any more/),
  );
  await keys.generate('a', 'ec-p256');
  await keys.sign('a', digest, { scheme: 'default', hash: 'sha256' });
});

test('another process that replaces a key is noticed: its key signs, under its own fingerprint', async () => {
  const config = { key_identifier_value: 'overtaken' };
  await using keys = await open(config);
  await keys.generate('a', 'ec-p256');
  const other = await open(config);
  const { fingerprint } = await other.generate('a', 'ec-p256');
  await other[Symbol.asyncDispose]();
  const signed = await keys.sign('a', digestOf('sha256', 'x'), { scheme: 'default', hash: 'sha256' });
  expect(signed.fingerprint).toBe(fingerprint);
  expect(logged.some(({ message }) => message === 'another process has replaced a key on the PKCS#11 token')).toBe(
    true,
  );
});

test('a file for the identifier is made where it is missing, and read where it is not', async () => {
  const config = { key_identifier_value: undefined, key_identifier_file: folder.join('identifier') };
  const first = await open(config);
  const made = await first.generate('a', 'ec-p256');
  await first[Symbol.asyncDispose]();
  await using second = await open(config);
  expect(second.list()).toEqual([made]);
});

test('many signatures at once are made by no more sessions than allowed', async () => {
  await using keys = await open({ key_identifier_value: 'many', max_sessions: 3 });
  const { publicKey } = await keys.generate('a', 'ec-p256');
  const messages = Array.from({ length: 50 }, (_, index) => `message ${index}`);
  const signed = await Promise.all(
    messages.map((message) => keys.sign('a', digestOf('sha256', message), { scheme: 'default', hash: 'sha256' })),
  );
  const verified = signed.filter(({ signature }, index) =>
    isSigned(publicKey, 'sha256', messages[index] ?? '', signature),
  );
  expect(verified).toHaveLength(messages.length);
});
