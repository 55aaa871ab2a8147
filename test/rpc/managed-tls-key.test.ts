import { once } from 'node:events';
import { connect, createServer, type SecureVersion, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { ManagedTlsKey, type ManagedTlsKeyOptions } from '../../src/rpc/managed-tls-key.ts';
import { TestAuthority } from '../../src/testing/test-authority.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { KeyManagerProcess } from '../harness/key-manager.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';

let authority: TestAuthority;
let folder: TemporaryFolder;
let keyManager: KeyManagerProcess;
beforeAll(async () => {
  authority = await TestAuthority.create();
  folder = await createTemporaryFolder();
  keyManager = await KeyManagerProcess.start(folder.join('km'));
});
afterAll(async () => {
  await keyManager[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

async function open(
  keyId: string,
  more: Partial<ManagedTlsKeyOptions> = {},
  from: KeyManagerProcess = keyManager,
): Promise<ManagedTlsKey> {
  const key = await ManagedTlsKey.open({ ...from.options(keyId), ...more });
  onTestFinished(() => key[Symbol.asyncDispose]());
  return key;
}

async function contextOf(key: ManagedTlsKey) {
  const { certificates } = await authority.issue({ spiffeId: 'spiffe://example.org/x', publicKey: key.publicKey });
  return { cert: certificates.map((der) => encodePem('CERTIFICATE', der)).join(''), ...key.secureContextOptions };
}
type Context = Awaited<ReturnType<typeof contextOf>>;

/** A server and a function that connects with `client`, both with managed keys. The answer is what both saw. */
async function serve(server: Context, client: Partial<Context>, version?: SecureVersion) {
  const versions = version === undefined ? {} : { minVersion: version, maxVersion: version };
  const failures: string[] = [];
  const listener = createServer({ ...server, ...versions, requestCert: true, rejectUnauthorized: false }, (socket) => {
    socket.on('error', () => {});
    socket.end(Buffer.from(`${socket.getProtocol()} ${socket.getPeerX509Certificate()?.subjectAltName}`));
  });
  listener.on('tlsClientError', ({ message }) => failures.push(message));
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  onTestFinished(() => {
    listener.close();
  });
  const address = listener.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  const handshake = async (): Promise<string> => {
    const socket: TLSSocket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...client });
    let text = '';
    socket.on('error', () => {}); // the alert of a server that could not sign
    socket.on('data', (data) => {
      text += data;
    });
    await new Promise((resolve) => socket.once('close', resolve));
    return text;
  };
  return { handshake, failures };
}

describe.each(['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-4096'])(
  'a handshake with a key %s that stays elsewhere',
  (keyId) => {
    test.each(['TLSv1.2', 'TLSv1.3'] as const)(
      '%s, as client and as server, one after the other and 16 at once',
      async (version) => {
        const context = await contextOf(await open(keyId));
        const { handshake } = await serve(context, context, version);
        const seen = `${version} URI:spiffe://example.org/x`;
        expect(await handshake()).toBe(seen);
        const answers = await Promise.all(Array.from({ length: 16 }, handshake));
        expect(answers).toEqual(answers.map(() => seen));
      },
    );
  },
);

test('many handshakes with two keys at once come to an end', async () => {
  const server = await contextOf(await open('ec-p256'));
  const client = await contextOf(await open('takes-20-ms'));
  const { handshake } = await serve(server, client);
  for (let round = 0; round < 5; round++) {
    const answers = await Promise.all(Array.from({ length: 16 }, handshake));
    expect(new Set(answers)).toEqual(new Set(['TLSv1.3 URI:spiffe://example.org/x']));
  }
});

test('opening waits for the key manager without blocking this thread', async () => {
  await open('ec-p256'); // the signing thread runs
  let turns = 0;
  const counting = setInterval(() => turns++, 10);
  await open('takes-500-ms');
  clearInterval(counting);
  expect(turns).toBeGreaterThan(5); // a thread that is blocked has none, then one
});

const unusable = [
  ['signs with another key', 'signs-with-another', /signature does not verify with the public key that was given/],
  ['gives an empty signature', 'signs-nothing', /the key manager gave an empty signature/],
  ['gives a signature longer than the key', 'signs-too-long', /signature is longer than its key allows/],
  ['does not have the key', 'absent', /no key "absent"/],
] as const;
test.each(unusable)('a key manager that %s is refused when the key is opened', async (_what, keyId, reason) => {
  const publicKey = keyManager.options(keyId === 'absent' ? 'ec-p256' : keyId).publicKey;
  await expect(open(keyId, { publicKey })).rejects.toThrow(
    expect.objectContaining({ code: 'FAILED_PRECONDITION', message: expect.stringMatching(reason) }),
  );
});

test('a key manager that is not there is refused, without its path in the message', async () => {
  const endpoint = { socketPath: folder.join('nobody'), side: 'agent' } as const;
  await expect(open('ec-p256', { endpoint })).rejects.toThrow(
    'the key "ec-p256" cannot be used for TLS: the key manager cannot be reached',
  );
});

test.each([
  ['nothing', new Uint8Array()],
  ['noise', Buffer.from('noise')],
])('%s as the public key is refused', async (_what, publicKey) => {
  await expect(open('ec-p256', { publicKey })).rejects.toThrow(/needs an EC or RSA key/);
});

test('a refusal of the key manager is a failed handshake with its reason, and the next one asks again', async () => {
  const key = await open('signs-once');
  expect(key.lastFailure).toBeUndefined();
  const { handshake, failures } = await serve(await contextOf(key), {});
  for (const count of [1, 2]) {
    expect(await handshake()).toBe('');
    await expect.poll(() => failures.length).toBe(count);
    expect(failures.at(-1)).toContain('this key signs no more');
    expect(key.lastFailure).toBe('this key signs no more');
  }
});

test('a key that was replaced in the key manager signs no more', async () => {
  const key = await open('replaced-after-once', { fingerprint: 'replaced-after-once1' });
  const { handshake } = await serve(await contextOf(key), {});
  expect(await handshake()).toBe('');
  expect(key.lastFailure).toBe('the key manager has another key as "replaced-after-once" now');
});

test('a key manager that does not answer fails the handshake after the deadline', async () => {
  const key = await open('freezes-after-once', { deadlineMs: 200 });
  const { handshake } = await serve(await contextOf(key), {});
  const start = performance.now();
  expect(await handshake()).toBe('');
  expect(performance.now() - start).toBeGreaterThan(150);
  expect(key.lastFailure).toMatch(/did not answer within 200 ms|deadline/i);
});

test('a key manager that died fails the handshake at once; one in its place that has the key signs again', async () => {
  const socketPath = folder.join('mortal');
  const mortal = await KeyManagerProcess.start(socketPath);
  const key = await open('ec-p256', {}, mortal);
  const { handshake } = await serve(await contextOf(key), {});
  expect(await handshake()).toContain('TLSv1.3');
  await mortal.process.kill();
  expect(await handshake()).toBe('');
  expect(key.lastFailure).toBe('the key manager cannot be reached');
  const heir = await KeyManagerProcess.start(socketPath);
  onTestFinished(() => heir[Symbol.asyncDispose]());
  await expect
    .poll(async () => {
      await handshake();
      return key.lastFailure;
    })
    .toBeUndefined(); // it has another key by that name, and no fingerprint was asked for
});

test('a key that is closed signs no more, and gives no context', async () => {
  const key = await open('ec-p256');
  const { handshake } = await serve(await contextOf(key), {});
  await key[Symbol.asyncDispose]();
  await key[Symbol.asyncDispose]();
  expect(await handshake()).toBe('');
  expect(key.lastFailure).toBe('the key is closed');
  expect(() => key.secureContextOptions).toThrow(expect.objectContaining({ code: 'FAILED_PRECONDITION' }));
});
