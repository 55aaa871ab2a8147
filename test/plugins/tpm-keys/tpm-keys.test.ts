import { createHash, createPublicKey, verify as verifyMessage } from 'node:crypto';
import { chmod, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type TpmKeysConfig, tpmKeysConfig } from '../../../src/plugins/tpm-keys/config.ts';
import { LostKeysWatch } from '../../../src/plugins/tpm-keys/lost-keys-watch.ts';
import { TpmKeys } from '../../../src/plugins/tpm-keys/tpm-keys.ts';
import { type Swtpm, startSwtpm } from '../../../src/testing/swtpm.ts';
import { TpmDevice } from '../../../src/tpm-device/device.ts';
import { readWrappedKeys, wrappedKeysFile } from '../../../src/tpm-device/wrapped-keys.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../harness/temporary-folder.ts';
import { TpmProxy } from '../../harness/tpm-proxy.ts';

/** TPM_CC: Part 2, §6.5.2. */
const CC = { createPrimary: 0x131, sign: 0x15d, contextLoad: 0x161 } as const;
const RC_RETRY = 0x922;
const RC_LOCKOUT = 0x921;

const resources = new AsyncDisposableStack();
let tpm: Swtpm;
let other: Swtpm;
let folder: TemporaryFolder;
let count = 0;
let keysPath: string;
beforeAll(async () => {
  folder = resources.use(await createTemporaryFolder());
  [tpm, other] = await Promise.all([startSwtpm({ ek: [] }), startSwtpm({ ek: [] })]);
  resources.use(tpm);
  resources.use(other);
});
afterAll(() => resources.disposeAsync());
beforeEach(() => {
  count += 1;
  keysPath = folder.join(`keys-${count}`);
});

const configOf = (more: object = {}): TpmKeysConfig =>
  tpmKeysConfig.parse({ tcti: tpm.tcti, keys_path: keysPath, ...more });
const open = (more: object = {}) => TpmKeys.open(configOf(more));
const digestOf = (hash: string, message: string) => createHash(hash).update(message).digest();
const refusal = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

/** Whether a signature over a message is that of the key, with OpenSSL. */
function isSigned(publicKey: Uint8Array, hash: string, message: string, signature: Uint8Array): boolean {
  const key = createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' });
  return verifyMessage(hash, Buffer.from(message), key, signature);
}

async function expectNothingLeft(): Promise<void> {
  expect(await tpm.handles('transient')).toEqual([]);
  expect(await tpm.handles('loaded-session')).toEqual([]);
}

describe.each(['ec-p256', 'ec-p384', 'rsa-2048'] as const)('a key %s', (type) => {
  const HASHES = ['sha224', 'sha256', 'sha384', 'sha512', 'sha3-256', 'sha512-256'] as const;

  test('signs digests of every hash, which OpenSSL verifies, and leaves nothing in the TPM', async () => {
    const keys = await open();
    const { publicKey, fingerprint } = await keys.generate('a', type);
    for (const hash of HASHES) {
      const signed = await keys.sign('a', digestOf(hash, hash), { scheme: 'default', hash });
      expect(isSigned(publicKey, hash, hash, signed.signature), hash).toBe(true);
      expect(signed.fingerprint).toBe(fingerprint);
    }
    await expectNothingLeft();
  });
});

describe('the folder of the keys', () => {
  test('holds one file that only its owner may read, and what tpm2_load loads below the storage root key', async () => {
    const keys = await open();
    const record = await keys.generate('a', 'ec-p256');
    const path = wrappedKeysFile(keysPath);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(keysPath)).mode & 0o777).toBe(0o700);
    const [key] = (await readWrappedKeys(keysPath))?.keys ?? [];
    if (key === undefined) throw new Error('no key is stored');
    await tpm.write('key.pub', key.publicArea);
    await tpm.write('key.priv', key.privateArea);
    await loadByTools(tpm);
    const shown = await tpm.tools('tpm2_readpublic', '-c', 'key.ctx', '-f', 'der', '-o', 'key.der');
    expect(shown).toContain('fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|sign');
    expect(Buffer.from(await tpm.read('key.der'))).toEqual(Buffer.from(record.publicKey));
    await tpm.tools('tpm2_flushcontext', '-t');
  });

  test('is of no use to another TPM: neither tpm2_load takes the key nor the key manager', async () => {
    const keys = await open();
    await keys.generate('a', 'ec-p256');
    const [key] = (await readWrappedKeys(keysPath))?.keys ?? [];
    await other.write('key.pub', key?.publicArea ?? new Uint8Array(0));
    await other.write('key.priv', key?.privateArea ?? new Uint8Array(0));
    await expect(loadByTools(other)).rejects.toThrow(/integrity check failed/);
    await expect(open({ tcti: other.tcti })).rejects.toThrow(
      refusal(
        'FILE_UNUSABLE',
        /tpm-keys\.json" are of another TPM, or this TPM was cleared since.* Remove the file to start/,
      ),
    );
  });

  test('gives its keys to the next process, and a replaced id another key', async () => {
    const first = await open();
    const [a, b] = [await first.generate('a', 'ec-p256'), await first.generate('b', 'ec-p384')];
    const second = await open();
    expect(second.list()).toEqual([a, b]);
    const digest = digestOf('sha384', 'again');
    const { signature } = await second.sign('b', digest, { scheme: 'default', hash: 'sha384' });
    expect(isSigned(b.publicKey, 'sha384', 'again', signature)).toBe(true);
    const replaced = await second.generate('a', 'ec-p256');
    expect(replaced.fingerprint).not.toBe(a.fingerprint);
    expect((await open()).list()).toEqual([replaced, b]);
  });

  test.each([
    ['cut off', (text: string) => text.slice(0, -20), /is damaged or of a newer version/],
    ['of a newer version', (text: string) => text.replace('keys-1', 'keys-9'), /is damaged or of a newer version/],
    ['with one id twice', (text: string) => text.replace('"b"', '"a"'), /is damaged or of a newer version/],
  ])('%s is refused and not written over', async (_what, change, message) => {
    const keys = await open();
    await keys.generate('a', 'ec-p256');
    await keys.generate('b', 'ec-p256');
    const path = wrappedKeysFile(keysPath);
    const changed = change(await readFile(path, 'utf8'));
    await writeFile(path, changed);
    await expect(open()).rejects.toThrow(refusal('FILE_UNUSABLE', message));
    expect(await readFile(path, 'utf8')).toBe(changed);
  });

  test('with a private area that was changed tells so once the key is used', async () => {
    const keys = await open();
    await keys.generate('a', 'ec-p256');
    const stored = await readWrappedKeys(keysPath);
    const privateArea = stored?.keys[0]?.privateArea ?? new Uint8Array(0);
    const path = wrappedKeysFile(keysPath);
    const damaged = Buffer.from(privateArea.with(60, (privateArea[60] ?? 0) ^ 1)).toString('base64');
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace(Buffer.from(privateArea).toString('base64'), damaged));
    const digest = digestOf('sha256', 'x');
    await expect((await open()).sign('a', digest, { scheme: 'default', hash: 'sha256' })).rejects.toThrow(
      refusal('FILE_UNUSABLE', /does not take the key "a" of .* which is damaged: restore the file/),
    );
    await expectNothingLeft();
  });

  test('that others may read is refused', async () => {
    await (await open()).generate('a', 'ec-p256');
    await chmod(wrappedKeysFile(keysPath), 0o640);
    await expect(open()).rejects.toThrow(refusal('FILE_UNUSABLE', /can be read by others: run chmod 600/));
  });

  test('that is a file is refused', async () => {
    await writeFile(keysPath, '');
    await expect(open()).rejects.toThrow(refusal('FILE_UNUSABLE', /"keys_path" names a folder/));
  });

  test('that cannot be written makes no key that counts', async () => {
    const keys = await open();
    await mkdir(wrappedKeysFile(keysPath), { recursive: true });
    await expect(keys.generate('a', 'ec-p256')).rejects.toThrow(refusal('FILE_UNUSABLE', /cannot write the file/));
    expect(keys.find('a')).toBeUndefined();
  });
});

describe('the TPM', () => {
  test('that was reset meanwhile goes on with the same keys', async () => {
    const keys = await open();
    const { publicKey } = await keys.generate('a', 'ec-p256');
    const sign = (message: string) =>
      keys.sign('a', digestOf('sha256', message), { scheme: 'default', hash: 'sha256' });
    await sign('before'); // from here on the key is loaded from a context, which the reset makes void
    await tpm.boot();
    expect(isSigned(publicKey, 'sha256', 'after', (await sign('after')).signature)).toBe(true);
    await expectNothingLeft();
  });

  test('that was cleared says so at the next start, and while it runs', async () => {
    const cleared = await startSwtpm({ ek: [] });
    resources.use(cleared);
    const keys = await open({ tcti: cleared.tcti });
    await keys.generate('a', 'ec-p256');
    const sign = () => keys.sign('a', digestOf('sha256', 'x'), { scheme: 'default', hash: 'sha256' });
    await sign();
    await cleared.tools('tpm2_clear', '-c', 'p');
    await expect(sign()).rejects.toThrow(refusal('FILE_UNUSABLE', /or this TPM was cleared since/));
    await expect(open({ tcti: cleared.tcti })).rejects.toThrow(
      refusal('FILE_UNUSABLE', /or this TPM was cleared since: they are lost to this machine/),
    );
    expect(await keys.areOfTpm()).toBe(false);
    expect(await keys.isFileGone()).toBe(false);
    await rm(wrappedKeysFile(keysPath));
    expect(await keys.isFileGone()).toBe(true);
    const { promise: lost, resolve: onLost } = Promise.withResolvers<void>();
    using _watch = new LostKeysWatch(keys, { onLost, onRemoved: () => {}, everyMs: 20 });
    await lost;
  });

  test('that has the keys still, though their file is gone, goes on with them and writes it again', async () => {
    const keys = await open();
    await keys.generate('a', 'ec-p256');
    await rm(wrappedKeysFile(keysPath));
    const seen: string[] = [];
    using _watch = new LostKeysWatch(keys, {
      onLost: () => seen.push('lost'),
      onRemoved: () => seen.push('removed'),
      everyMs: 20,
    });
    await expect.poll(() => seen).toEqual(['removed']);
    await keys.generate('b', 'ec-p256');
    expect((await readWrappedKeys(keysPath))?.keys.map(({ id }) => id)).toEqual(['a', 'b']);
    expect(await keys.areOfTpm()).toBe(true);
    expect(seen).toEqual(['removed']);
  });

  test('with an owner authorization wants it, and takes it from owner_auth_path', async () => {
    const owned = await startSwtpm({ ek: [] });
    resources.use(owned);
    await owned.tools('tpm2_changeauth', '-c', 'owner', 'hush');
    await expect(open({ tcti: owned.tcti })).rejects.toThrow(refusal('TPM_UNAVAILABLE', /correct .*"owner_auth_path"/));
    await writeFile(folder.join('owner-auth'), 'hush\n', { mode: 0o600 });
    const keys = await open({ tcti: owned.tcti, owner_auth_path: folder.join('owner-auth') });
    const { publicKey } = await keys.generate('a', 'ec-p256');
    // Once the storage root key is persistent, as systemd leaves it, nobody has to authorize its making.
    await owned.write('unique', UNIQUE);
    await owned.tools('tpm2_createprimary', ...ROOT_KEY, '-P', 'hush', '-c', 'root.ctx');
    await owned.tools('tpm2_evictcontrol', '-C', 'o', '-P', 'hush', '-c', 'root.ctx', '0x81000001');
    await owned.tools('tpm2_flushcontext', '-t');
    const again = await open({ tcti: owned.tcti });
    const { signature } = await again.sign('a', digestOf('sha256', 'x'), { scheme: 'default', hash: 'sha256' });
    expect(isSigned(publicKey, 'sha256', 'x', signature)).toBe(true);
    expect(await owned.handles('persistent')).toContain('0x81000001');
  });

  test('that makes no keys of a type says which', async () => {
    const keys = await open();
    await expect(keys.generate('a', 'rsa-4096')).rejects.toThrow(
      refusal('FAILED_PRECONDITION', /makes no keys of type rsa-4096: choose another/),
    );
    await expectNothingLeft();
  });

  test('serves many at once, one after the other', async () => {
    const keys = await open();
    const { publicKey } = await keys.generate('a', 'ec-p256');
    const messages = Array.from({ length: 8 }, (_, index) => `message ${index}`);
    const signed = await Promise.all(
      messages.map((message) => keys.sign('a', digestOf('sha256', message), { scheme: 'default', hash: 'sha256' })),
    );
    expect(
      signed.every(({ signature }, index) => isSigned(publicKey, 'sha256', messages[index] ?? '', signature)),
    ).toBe(true);
  });
});

describe('a signature', () => {
  const digest = digestOf('sha256', 'x');
  const options = { scheme: 'default', hash: 'sha256' } as const;

  test('is one TPM2_Sign, and from the second on the key is loaded without its parent', async () => {
    await using proxy = await TpmProxy.start(tpm);
    const keys = await open({ tcti: proxy.tcti });
    await keys.generate('a', 'ec-p256');
    await keys.sign('a', digest, options);
    const before = proxy.messages.length;
    await keys.sign('a', digest, options);
    const codes = proxy.messages.slice(before).map(({ commandCode }) => commandCode);
    expect(codes.filter((code) => code === CC.sign)).toHaveLength(1);
    expect(codes).toContain(CC.contextLoad);
    expect(codes).not.toContain(CC.createPrimary);
  });

  test('is asked for again where the TPM says "retry"', async () => {
    let retries = 2;
    await using proxy = await TpmProxy.start(tpm, {
      findFailure: (code) => (code === CC.sign && retries-- > 0 ? RC_RETRY : undefined),
    });
    const keys = await open({ tcti: proxy.tcti });
    const { publicKey } = await keys.generate('a', 'ec-p256');
    expect(isSigned(publicKey, 'sha256', 'x', (await keys.sign('a', digest, options)).signature)).toBe(true);
    expect(proxy.messages.filter(({ commandCode }) => commandCode === CC.sign)).toHaveLength(3);
  });

  test('that fails leaves nothing in the TPM, and the next one is made', async () => {
    let failures = 1;
    await using proxy = await TpmProxy.start(tpm, {
      findFailure: (code) => (code === CC.sign && failures-- > 0 ? RC_LOCKOUT : undefined),
    });
    const keys = await open({ tcti: proxy.tcti });
    await keys.generate('a', 'ec-p256');
    await expect(keys.sign('a', digest, options)).rejects.toThrow(refusal('TPM_UNAVAILABLE', /is locked out/));
    await expectNothingLeft();
    await keys.sign('a', digest, options);
    await expectNothingLeft();
  });

  test('waits for a TPM that another program holds no longer than lock_timeout', async () => {
    const keys = await open({ lock_timeout: '200ms' });
    await keys.generate('a', 'ec-p256');
    {
      await using _held = await TpmDevice.open(tpm.tcti);
      await expect(keys.sign('a', digest, options)).rejects.toThrow(
        refusal('TPM_UNAVAILABLE', /is busy: .* raise "lock_timeout"/),
      );
    }
    await keys.sign('a', digest, options);
  });
});

test('without a folder, or with a key that nobody knows, the configuration is refused', () => {
  expect(() => tpmKeysConfig.parse({})).toThrow(/must be the path of a folder/);
  expect(() => tpmKeysConfig.parse({ keys_path: '/keys', directory: '/keys' })).toThrow(/directory/);
});

/** TCG's template of the storage root key, in the words of tpm2-tools. */
const ROOT_KEY = [
  ...['-C', 'o', '-G', 'ecc256:aes128cfb', '-u', 'unique'],
  ...['-a', 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt'],
];

/** TPMU_PUBLIC_ID of it as the tool lays it out in memory: two TPM2B_ECC_PARAMETER with 32 zeros each. */
const UNIQUE = Buffer.concat([0, 1].map(() => Buffer.concat([Buffer.of(32, 0), Buffer.alloc(128)])));

/** Loads key.pub and key.priv below the storage root key; what the tools leave in the TPM goes again, as they have no resource manager. */
async function loadByTools(device: Swtpm): Promise<void> {
  await device.write('unique', UNIQUE);
  await device.tools('tpm2_createprimary', ...ROOT_KEY, '-c', 'root.ctx');
  await device.tools('tpm2_flushcontext', '-t');
  try {
    await device.tools('tpm2_load', '-C', 'root.ctx', '-u', 'key.pub', '-r', 'key.priv', '-c', 'key.ctx');
  } finally {
    await device.tools('tpm2_flushcontext', '-t');
  }
}
