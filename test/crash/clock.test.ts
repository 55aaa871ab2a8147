import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { AgentDefinition } from '../../src/gen/spire/api/server/agent/v1/agent.ts';
import { BundleDefinition } from '../../src/gen/spire/api/server/bundle/v1/bundle.ts';
import { DebugDefinition } from '../../src/gen/spire/api/server/debug/v1/debug.ts';
import { SVIDDefinition } from '../../src/gen/spire/api/server/svid/v1/svid.ts';
import { fromApiBundle } from '../../src/rpc/api-bundle.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { type Client, createClient } from '../../src/rpc/client.ts';
import type { ServiceDefinition } from '../../src/rpc/definition.ts';
import { createSpiffeCredentials } from '../../src/rpc/tls-client.ts';
import { parseSpiffeId } from '../../src/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { validateX509Svid } from '../../src/spiffe/x509-svid.ts';
import { ServerProcess } from '../cli/server-process.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { newCsr } from '../server/callers.ts';

// A server whose clock is set a day on, back, and a day back; whoever asks it has the machine's clock.

vi.setConfig({ testTimeout: 180_000, hookTimeout: 60_000 });
const DAY_MS = 24 * 3_600_000;
const TRUST_DOMAIN = parseTrustDomain('example.org');
/** Timers look at the clock every ten seconds, and once more twenty seconds after it was set back. */
/** Found to be expired, or pruned as such. */
const GONE = /join token (expired|does not exist)/;
const WAIT = { timeout: 90_000, interval: 500 };

const resources = new AsyncDisposableStack();
let folder: TemporaryFolder;
let server: ServerProcess;
let local: RpcChannel | undefined;

beforeAll(async () => {
  folder = resources.use(await createTemporaryFolder());
  await setClock(0);
  const preload = fileURLToPath(new URL('./jumping-clock.ts', import.meta.url));
  vi.stubEnv('NODE_OPTIONS', `--import ${preload}`);
  vi.stubEnv('CLOCK_FILE', folder.join('clock'));
  const settings = 'ratelimit { attestation = false signing = false }';
  server = resources.use(await ServerProcess.start({ folder: folder.path, settings }));
  vi.unstubAllEnvs();
  local = resources.use(RpcChannel.unix(server.socketPath));
});
afterAll(() => resources.disposeAsync());

/** Returns once the server has it. */
async function setClock(offsetMs: number): Promise<void> {
  await writeFile(folder.join('clock'), String(offsetMs));
  if (local === undefined) return; // it starts with it
  await vi.waitUntil(
    async () => {
      const { expiresAt } = await admin(AgentDefinition).createJoinToken({ ttl: 600, token: '', agentId: undefined });
      return Math.abs(Number(expiresAt) * 1000 - Date.now() - offsetMs) < 1_200_000;
    },
    { timeout: 20_000, interval: 50 },
  );
}
const admin = <Definition extends ServiceDefinition>(definition: Definition): Client<Definition> =>
  createClient(definition, admins());
const admins = (): RpcChannel => {
  if (local === undefined) throw new Error('the server has not started');
  return local;
};
const bundle = async () =>
  fromApiBundle(await admin(BundleDefinition).getBundle({ outputMask: undefined }), TRUST_DOMAIN);
const newToken = async () =>
  (await admin(AgentDefinition).createJoinToken({ ttl: 600, token: '', agentId: undefined })).value;

/** Why what the server signs now, and its own SVID, are not valid at this time; empty where they are. */
async function faultAt(offsetMs: number): Promise<string> {
  const { csr } = await newCsr({ uriNames: ['spiffe://example.org/web'] });
  const { svid } = await admin(SVIDDefinition).mintX509SVID({ csr, ttl: 0 });
  try {
    validateX509Svid(svid?.certChain ?? [], await bundle(), new Date(Date.now() + offsetMs));
    return '';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function ownExpiry(): Promise<number> {
  const { svidChain } = await admin(DebugDefinition).getInfo({});
  return Number(svidChain[0]?.expiresAt) * 1000;
}

/** @returns how it was refused; empty where it was not. */
async function attest(channel: RpcChannel, token: string): Promise<string> {
  const { csr } = await newCsr();
  await using call = createClient(AgentDefinition, channel).attestAgent({ deadlineMs: 20_000 });
  const data = { type: 'join_token', payload: Buffer.from(token) };
  try {
    await call.send({ step: { $case: 'params', value: { data, params: { csr } } } });
    call.end();
    await call.receive();
    return '';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function attestByTls(token: string): Promise<string> {
  const trusted = await bundle();
  const expectedId = parseSpiffeId('spiffe://example.org/spire/server');
  const credentials = createSpiffeCredentials({ expectedId, bundle: () => trusted, identity: () => undefined });
  using channel = RpcChannel.open(`dns:///127.0.0.1:${server.port}`, credentials);
  return await attest(channel, token);
}

test('a day on: authorities and the server’s SVID are replaced, join tokens have expired for good', async () => {
  expect(await faultAt(0)).toBe('');
  expect(await attestByTls(await newToken())).toBe('');
  const tokens = [await newToken()];
  await setClock(DAY_MS);
  await expect.poll(() => faultAt(DAY_MS), WAIT).toBe('');
  await expect.poll(async () => (await ownExpiry()) > Date.now() + DAY_MS, WAIT).toBe(true);
  expect(await attest(admins(), tokens[0] ?? '')).toMatch(GONE);

  await setClock(0);
  await expect.poll(() => faultAt(0), WAIT).toBe('');
  expect(await attest(admins(), tokens[0] ?? '')).toMatch(GONE);
});

test('set back to the time that it is: what was made in the meantime is made anew, and agents come in again', async () => {
  await expect.poll(async () => await attestByTls(await newToken()), WAIT).toBe('');
  expect(await ownExpiry()).toBeLessThan(Date.now() + DAY_MS / 2);
});

test('a day back: what is issued is valid by the server’s clock, and the right time has it answer as before', async () => {
  await setClock(-DAY_MS);
  await expect.poll(() => faultAt(-DAY_MS), WAIT).toBe('');
  await expect.poll(async () => (await ownExpiry()) < Date.now(), WAIT).toBe(true);
  const token = await newToken();
  await setClock(0);
  expect(await attest(admins(), token)).toMatch(GONE);
  await expect.poll(async () => await attestByTls(await newToken()), WAIT).toBe('');
  expect(await faultAt(0)).toBe('');
});
