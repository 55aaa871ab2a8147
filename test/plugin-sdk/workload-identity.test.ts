import { generateKeyPairSync } from 'node:crypto';
import { expect, onTestFinished, test, vi } from 'vitest';
import { SpiffeWorkloadAPIDefinition, type X509SVID } from '../../src/gen/workload/workload.ts';
import { Logger } from '../../src/log/logger.ts';
import { WorkloadIdentity } from '../../src/plugin-sdk/index.ts';
import { RpcServer } from '../../src/rpc/server.ts';
import { bindService } from '../../src/rpc/service.ts';
import { listenUnix } from '../../src/rpc/unix-listener.ts';
import { SpiffeError } from '../../src/spiffe/error.ts';
import { TestAuthority } from '../../src/testing/test-authority.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

vi.setConfig({ testTimeout: 30_000 });

const ID = 'spiffe://example.org/server-below';
const authority = await TestAuthority.create();
const stranger = await TestAuthority.create();
const { signal } = new AbortController();
const der = (key: ReturnType<typeof generateKeyPairSync>['privateKey']) =>
  new Uint8Array(key.export({ type: 'pkcs8', format: 'der' }));

async function svid(more: Partial<X509SVID> = {}, dates: object = {}): Promise<X509SVID> {
  const { certificates, privateKey } = await authority.issue({ spiffeId: ID, ...dates });
  return {
    spiffeId: ID,
    x509Svid: Buffer.concat(certificates),
    x509SvidKey: new Uint8Array(privateKey.export({ type: 'pkcs8', format: 'der' })),
    bundle: authority.certificate.der,
    hint: '',
    ...more,
  };
}

/** An agent that answers each stream with the next of these, and lets the last stand. */
async function agent(...answers: readonly (readonly X509SVID[] | SpiffeError)[]): Promise<string> {
  let next = 0;
  const server = RpcServer.create({
    services: [
      bindService(SpiffeWorkloadAPIDefinition, {
        async *fetchX509SVID(_request: unknown, context: { readonly signal: AbortSignal }) {
          const answer = answers[Math.min(next++, answers.length - 1)] ?? [];
          if (answer instanceof SpiffeError) throw answer;
          yield { svids: [...answer], crl: [], federatedBundles: {} };
          if (next < answers.length) return;
          await new Promise((resolve) => context.signal.addEventListener('abort', resolve, { once: true }));
        },
      }),
    ],
    log: new Logger(() => {}, 'error'),
    graceMs: 100,
  });
  const folder = await createTemporaryFolder();
  const path = folder.join('api.sock');
  const listener = await listenUnix({
    path,
    mode: 0o777,
    folderMode: 0o755,
    log: new Logger(() => {}, 'error'),
    onConnection: (socket, peer) => server.accept(socket, peer),
  });
  onTestFinished(async () => {
    await listener[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });
  return path;
}

const open = (socketPath: string, waitMs = 1_500) => WorkloadIdentity.open({ socketPath, waitMs, signal });

test('has the SVID that an agent gives, and the next one', async () => {
  const [first, second] = [await svid(), await svid()];
  using identity = await open(await agent([first], [second]), 10_000);
  const chain = () => Buffer.concat(identity.current.certificates);
  expect(identity.current.spiffeId).toBe(ID);
  expect(chain().equals(first.x509Svid)).toBe(true);
  const changed = new Promise<void>((resolve) => identity.onChange(resolve));
  await changed;
  expect(chain().equals(second.x509Svid)).toBe(true);
});

test('waits for an entry that is on its way', async () => {
  using identity = await open(
    await agent(new SpiffeError('NO_IDENTITY', 'no identity issued'), [await svid()]),
    20_000,
  );
  expect(identity.current.spiffeId).toBe(ID);
});

const past = { notBefore: new Date(Date.now() - 7_200_000), notAfter: new Date(Date.now() - 3_600_000) };
const other = () => der(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
const rows: readonly (readonly [string, () => Promise<readonly X509SVID[] | SpiffeError>, RegExp])[] = [
  [
    'no identity',
    async () => new SpiffeError('NO_IDENTITY', 'no identity issued'),
    /no identity issued; check that the agent runs/,
  ],
  ['no SVID', async () => [], /has no X.509-SVID/],
  [
    'an SVID of another',
    async () => [await svid({ spiffeId: 'spiffe://example.org/admin' })],
    /is one of spiffe:\/\/example.org\/server-below/,
  ],
  ['an SVID that has expired', async () => [await svid({}, past)], /expired at/],
  [
    'an SVID that its bundle does not verify',
    async () => [await svid({ bundle: stranger.certificate.der })],
    /gave no X.509-SVID within 1.5 s: /,
  ],
  [
    'a chain that is cut off',
    async () => [{ ...(await svid()), x509Svid: (await svid()).x509Svid.subarray(0, 100) }],
    /gave no X.509-SVID/,
  ],
  ['an empty bundle', async () => [await svid({ bundle: new Uint8Array() })], /gave no X.509-SVID/],
  [
    'a key that does not parse',
    async () => [await svid({ x509SvidKey: Buffer.from('key') })],
    /the key of the X.509-SVID does not parse/,
  ],
  [
    'the key of another',
    async () => [await svid({ x509SvidKey: other() })],
    /the key is not the key of its certificate/,
  ],
];
test.each(rows)('an agent that gives %s is said to, and nothing is used', async (_what, answer, message) => {
  await expect(open(await agent(await answer()))).rejects.toMatchObject({
    code: 'NO_IDENTITY',
    message: expect.stringMatching(message),
  });
});

test('an agent that is not there is said to be', async () => {
  await expect(open('/nowhere/api.sock')).rejects.toThrow(
    /the Workload API at "\/nowhere\/api.sock" gave no X.509-SVID .*ENOENT/,
  );
});
