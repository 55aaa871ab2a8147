import { execFile } from 'node:child_process';
import { chmod, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Pkcs11Token } from '../../../src/pkcs11/pkcs11-token.ts';
import { RefusedPins } from '../../../src/pkcs11/refused-pins.ts';
import { newCkaId } from '../../../src/plugins/pkcs11/key-names.ts';
import type { TokenKeys } from '../../../src/plugins/pkcs11/token-keys.ts';
import { SoftHsmToken } from '../../../src/testing/softhsm-token.ts';
import { eventually } from '../../harness/eventually.ts';
import { FaultyPkcs11 } from '../../harness/faulty-pkcs11.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../harness/temporary-folder.ts';
import { digestOf, isSigned, log, logged, openKeys } from './open-keys.ts';

const run = promisify(execFile);

/** Return values: pkcs11t.h of PKCS #11 2.40. */
const CKR = {
  slotIdInvalid: 0x03,
  generalError: 0x05,
  functionFailed: 0x06,
  cantLock: 0x0a,
  deviceError: 0x30,
  deviceRemoved: 0x32,
  keyHandleInvalid: 0x60,
  operationActive: 0x90,
  pinIncorrect: 0xa0,
  pinLocked: 0xa4,
  sessionClosed: 0xb0,
  sessionCount: 0xb1,
  sessionHandleInvalid: 0xb3,
  tokenNotPresent: 0xe0,
  tokenWriteProtected: 0xe2,
  userNotLoggedIn: 0x101,
  mechanismInvalid: 0x70,
  attributeTypeInvalid: 0x12,
} as const;
const CKF = { finalTry: 0x20000, locked: 0x40000 } as const;

const resources = new AsyncDisposableStack();
let token: SoftHsmToken;
let folder: TemporaryFolder;
let module: FaultyPkcs11;
let pinPath: string;
beforeAll(async () => {
  folder = resources.use(await createTemporaryFolder());
  token = resources.use(await SoftHsmToken.create({ label: 'ca' }));
  module = resources.use(await FaultyPkcs11.build(folder.path, token.modulePath));
  pinPath = folder.join('pin');
  Object.assign(process.env, token.environment, module.environment);
});
afterAll(() => resources.disposeAsync());
beforeEach(async () => {
  module.reset();
  await writePin(token.pin);
});

async function writePin(pin: string, mode = 0o600): Promise<void> {
  await writeFile(pinPath, `${pin}\n`);
  await chmod(pinPath, mode);
}

const open = (more: object = {}): Promise<TokenKeys> => {
  const config = { module_path: module.modulePath, token_label: 'ca', pin_path: pinPath, ...more };
  return openKeys({ folder: folder.path, config });
};
const refusal = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });
const sign = (keys: TokenKeys, message = 'x') =>
  keys.sign('a', digestOf('sha256', message), { scheme: 'default', hash: 'sha256' });

async function openWithKey(more: object = {}): Promise<{ keys: TokenKeys; publicKey: Uint8Array }> {
  const keys = await open(more);
  const { publicKey } = keys.find('a') ?? (await keys.generate('a', 'ec-p256'));
  return { keys, publicKey };
}

describe('a token that is lost while it signs is logged in to again, and signs', () => {
  test.each([
    ['pulled', CKR.deviceRemoved],
    ['not there', CKR.tokenNotPresent],
    ['restarted', CKR.sessionHandleInvalid],
    ['closed by somebody', CKR.sessionClosed],
    ['logged out of', CKR.userNotLoggedIn],
    ['in another slot', CKR.slotIdInvalid],
  ])('%s', async (_what, returned) => {
    const opened = await openWithKey();
    await using keys = opened.keys;
    for (const call of ['C_SignInit', 'C_Sign'] as const) {
      const logIns = module.calls('C_Login');
      module.fail(call, returned);
      const { signature } = await sign(keys, call);
      expect(isSigned(opened.publicKey, 'sha256', call, signature)).toBe(true);
      expect(module.calls('C_Login')).toBe(logIns + 1);
    }
  });

  test('with all that were in flight', async () => {
    const opened = await openWithKey();
    await using keys = opened.keys;
    await Promise.all(['1', '2', '3', '4'].map((message) => sign(keys, message)));
    const logIns = module.calls('C_Login');
    module.delay('C_SignInit', 30);
    module.fail('C_SignInit', CKR.deviceRemoved, 4);
    const messages = Array.from({ length: 8 }, (_, index) => `${index}`);
    const signed = await Promise.all(messages.map((message) => sign(keys, message)));
    const isRight = ({ signature }: { signature: Uint8Array }, index: number) =>
      isSigned(opened.publicKey, 'sha256', messages[index] ?? '', signature);
    expect(signed.every(isRight)).toBe(true);
    expect(module.calls('C_Login')).toBe(logIns + 1);
  });

  test('once: one that is lost again at once is a failed signature, and the next one is made', async () => {
    const { keys: opened } = await openWithKey();
    await using keys = opened;
    module.fail('C_SignInit', CKR.deviceRemoved, 2);
    await expect(sign(keys)).rejects.toThrow(
      refusal(
        'UNAVAILABLE',
        /the PKCS#11 token with the label "ca" does not do it: C_SignInit returned CKR_DEVICE_REMOVED/,
      ),
    );
    await sign(keys);
  });

  test('where new sessions are not enough, with the module started again', async () => {
    const { keys: opened } = await openWithKey();
    await using keys = opened;
    module.fail('C_Sign', CKR.deviceRemoved);
    module.fail('C_OpenSession', CKR.deviceError);
    const before = module.calls('C_Finalize');
    await sign(keys);
    expect(module.calls('C_Finalize')).toBe(before + 1);
  });
});

test('a token that is taken away says so for as long as it is, and goes on with its keys once it is back', async () => {
  const opened = await openWithKey();
  await using keys = opened.keys;
  const tokens = join(dirname(token.configPath), 'tokens');
  await rename(tokens, `${tokens}-away`);
  module.fail('C_SignInit', CKR.deviceRemoved);
  await expect(sign(keys)).rejects.toThrow(refusal('UNAVAILABLE', /no token with the label "ca"|does not do it/));
  await expect(sign(keys)).rejects.toThrow(refusal('UNAVAILABLE', /no token with the label "ca"|does not do it/));
  await rename(`${tokens}-away`, tokens);
  expect(isSigned(opened.publicKey, 'sha256', 'x', (await sign(keys)).signature)).toBe(true);
});

test('an error that says nothing of the session is an error, and the session stays', async () => {
  const { keys: opened } = await openWithKey();
  await using keys = opened;
  const logIns = module.calls('C_Login');
  module.fail('C_Sign', CKR.functionFailed);
  await expect(sign(keys)).rejects.toThrow(refusal('UNAVAILABLE', /C_Sign returned CKR_FUNCTION_FAILED/));
  module.fail('C_SignInit', CKR.operationActive);
  await sign(keys);
  module.fail('C_SignInit', CKR.keyHandleInvalid);
  await sign(keys);
  expect(module.calls('C_Login')).toBe(logIns);
});

describe('calls to a slow module', () => {
  test('block neither the plugin nor one another, and are no more than allowed', async () => {
    const { keys: opened } = await openWithKey({ max_sessions: 3 });
    await using keys = opened;
    module.delay('C_Sign', 100);
    await eventually(async () => {
      const order: string[] = [];
      const signed = Promise.all(Array.from({ length: 6 }, () => sign(keys))).then(() => order.push('signed'));
      await delay(20);
      order.push('went on');
      await signed;
      expect(order).toEqual(['went on', 'signed']);
      expect(module.mostInFlight('C_Sign')).toBe(3); // threads take their time to start
    });
    expect(module.mostInFlight('C_Sign')).toBe(3);
  });

  test('that wants to be called by one thread alone are one after the other', async () => {
    module.fail('C_Initialize', CKR.cantLock);
    // Another path is another module, to this process.
    const path = folder.join('single.so');
    await writeFile(path, await readFile(module.modulePath));
    const { keys: opened } = await openWithKey({ module_path: path });
    await using keys = opened;
    await Promise.all(Array.from({ length: 4 }, () => sign(keys)));
    expect(module.mostInFlight('C_Sign')).toBe(1);
  });

  test('for which the token has no sessions are made by those that it has', async () => {
    const { keys: opened } = await openWithKey();
    await using keys = opened;
    module.delay('C_Sign', 20);
    module.fail('C_OpenSession', CKR.sessionCount, 3);
    await Promise.all(Array.from({ length: 8 }, () => sign(keys)));
  });

  test('that do not come back in time are given up, and others are made meanwhile', async () => {
    const name = { label: 'hung', ckaId: newCkaId(0n) };
    let callMs = 25_000;
    await using raw = await Pkcs11Token.open({
      ...{ modulePath: module.modulePath, selection: { label: 'ca' }, maxSessions: 2, log },
      readPin: async () => token.pin,
      refusedPins: new RefusedPins(async () => folder.path, log),
      get callMs() {
        return callMs;
      },
    });
    await raw.generate(name, 'ec-p256');
    const request = {
      type: 'ec-p256',
      digest: digestOf('sha256', 'x'),
      how: { scheme: 'ecdsa', hash: 'sha256' },
    } as const;
    module.delay('C_Sign', 3000);
    callMs = 300;
    const hung = raw.sign(name, request);
    const givenUp = expect(hung).rejects.toThrow(refusal('UNAVAILABLE', /has not answered for 0\.3 s/));
    await eventually(() => expect(module.inFlight('C_Sign')).toBe(1));
    module.delay('C_Sign', 0);
    callMs = 25_000;
    expect(await raw.sign(name, request)).toBeInstanceOf(Uint8Array);
    await givenUp;
    await raw.destroy([name]);
  });
});

describe('the PIN', () => {
  const wrong = '00000001';

  test('that is wrong is shown to the token once, by this process or another, until it is another', async () => {
    await writePin(wrong);
    await expect(open()).rejects.toThrow(
      refusal('FAILED_PRECONDITION', /refuses the configured PIN: C_Login returned CKR_PIN_INCORRECT; correct the PIN/),
    );
    expect(module.calls('C_Login')).toBe(1);
    for (let start = 0; start < 3; start++) {
      await expect(open()).rejects.toThrow(
        refusal('FAILED_PRECONDITION', /refused the configured PIN \(CKR_PIN_INCORRECT\); it is not tried again/),
      );
    }
    expect(module.calls('C_Login')).toBe(1);
    await writePin(token.pin);
    await using _keys = await open();
    expect(module.calls('C_Login')).toBe(2);
  });

  test('is in no message of ours, right or wrong, nor where it is remembered', async () => {
    await writePin('00000002');
    const messages: string[] = [];
    await open().catch((error: unknown) => messages.push(JSON.stringify(error, Object.getOwnPropertyNames(error))));
    const remembered = await readFile(folder.join('pkcs11-refused-pins.json'), 'utf8');
    expect(remembered).not.toContain('00000002');
    await writePin(token.pin);
    await using _keys = await open();
    const all = [...messages, ...logged.map((record) => JSON.stringify(record))].join('\n');
    expect(all).toContain('refuses the configured PIN');
    for (const pin of ['00000002', token.pin]) expect(all).not.toContain(pin);
  });

  test.each([
    ['one more wrong PIN would lock', CKF.finalTry, /locks after one more wrong PIN, so none is tried/],
    ['is locked', CKF.locked, /is locked after too many wrong PINs: its security officer/],
  ])('is not shown to a token which %s', async (_what, flags, message) => {
    module.fail('C_GetTokenInfo', flags, 1_000);
    await expect(open()).rejects.toThrow(refusal('FAILED_PRECONDITION', message));
    expect(module.calls('C_Login')).toBe(0);
  });

  test.each([
    [
      'that others may read',
      async () => writePin(token.pin, 0o640),
      'FILE_UNUSABLE',
      /can be read by others: run chmod 600/,
    ],
    ['that is empty', async () => writePin(''), 'CONFIG_INVALID', /holds no PIN: it is empty/],
    ['that is too long', async () => writePin('1'.repeat(256)), 'CONFIG_INVALID', /more than 255 bytes/],
  ] as const)('in a file %s is refused', async (_what, prepare, code, message) => {
    await prepare();
    await expect(open()).rejects.toThrow(refusal(code, message));
  });

  test.each([
    ['in a file that is not there', { pin_path: '/nowhere/pin' }, /"\/nowhere\/pin" cannot be read: ENOENT/],
    ['in a folder', { pin_path: '/etc' }, /"\/etc" is no file/],
    [
      'in a variable that is not set',
      { pin_path: undefined, pin_env: 'NO_SUCH_PIN' },
      /variable NO_SUCH_PIN is not set/,
    ],
  ])('%s is refused', async (_what, config, message) => {
    await expect(open(config)).rejects.toThrow(refusal('CONFIG_INVALID', message));
  });
});

describe('a key', () => {
  test('that the token does not make is refused with the reason', async () => {
    await using keys = await open();
    module.fail('C_GenerateKeyPair', CKR.mechanismInvalid);
    await expect(keys.generate('b', 'rsa-4096')).rejects.toThrow(
      refusal(
        'FAILED_PRECONDITION',
        /makes no keys of type rsa-4096 \(C_GenerateKeyPair returned CKR_MECHANISM_INVALID\)/,
      ),
    );
    module.fail('C_GenerateKeyPair', CKR.tokenWriteProtected);
    await expect(keys.generate('b', 'ec-p256')).rejects.toThrow(refusal('INTERNAL', /CKR_TOKEN_WRITE_PROTECTED/));
    expect(keys.find('b')).toBeUndefined();
  });

  test('that does not sign counts not, and leaves nothing on the token', async () => {
    const { keys: opened } = await openWithKey();
    await using keys = opened;
    const before = keys.find('a');
    module.fail('C_Sign', CKR.functionFailed);
    await expect(keys.generate('a', 'ec-p256')).rejects.toThrow(refusal('UNAVAILABLE', /CKR_FUNCTION_FAILED/));
    expect(keys.find('a')).toEqual(before);
    await using again = await open();
    expect(again.list()).toEqual(keys.list());
  });

  test('is made by a module that does not know the attributes of other uses', async () => {
    await using keys = await open();
    module.fail('C_GenerateKeyPair', CKR.attributeTypeInvalid);
    await keys.generate('c', 'ec-p256');
  });

  test('whose old one cannot be deleted counts, and the next start deletes that', async () => {
    const { keys: opened } = await openWithKey();
    const destroyed = module.calls('C_DestroyObject');
    module.fail('C_DestroyObject', CKR.tokenWriteProtected);
    const made = await opened.generate('a', 'ec-p256');
    await opened[Symbol.asyncDispose]();
    await using again = await open();
    expect(again.find('a')).toEqual(made);
    expect(module.calls('C_DestroyObject')).toBe(destroyed + 3); // one failed, two went
  });
});

test('a module that is none, and a token that is not there or there twice, are refused with what to do', async () => {
  const text = folder.join('text.so');
  await writeFile(text, 'no library');
  await expect(open({ module_path: text })).rejects.toThrow(
    refusal('FAILED_PRECONDITION', /cannot be loaded: .*"module_path" names/),
  );
  await expect(open({ module_path: '/nowhere.so' })).rejects.toThrow(
    refusal('FAILED_PRECONDITION', /cannot be loaded/),
  );
  await expect(open({ token_label: 'cb' })).rejects.toThrow(
    refusal('UNAVAILABLE', /no token with the label "cb": its tokens are "ca"/),
  );
  const twice = ['--init-token', '--free', '--label', 'twice', '--so-pin', '1234', '--pin', '1234'];
  await run('softhsm2-util', twice);
  await run('softhsm2-util', twice);
  // SoftHSM looks for tokens when it is started: another process, or this one once its module is started again.
  const { keys } = await openWithKey();
  module.fail('C_Sign', CKR.deviceRemoved);
  module.fail('C_OpenSession', CKR.deviceError);
  await sign(keys);
  await keys[Symbol.asyncDispose]();
  await expect(open({ token_label: 'twice' })).rejects.toThrow(
    refusal('FAILED_PRECONDITION', /has 2 tokens with the label "twice".*"token_serial"/),
  );
});
