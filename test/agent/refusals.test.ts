import { access, chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Logger } from '../../src/log/logger.ts';
import { listenUnix } from '../../src/rpc/unix-listener.ts';
import { SpiffeError } from '../../src/spiffe/error.ts';
import type { TestAgentOptions } from '../harness/running-agent.ts';
import { TestDomain } from './test-domain.ts';
import { fetchIds } from './workload.ts';

// Issue 3, "Bad input": one clear line each, and nothing left behind.

vi.setConfig({ testTimeout: 90_000 }); // many tests start programs

const resources = new AsyncDisposableStack();
let domain: TestDomain;
let stranger: TestDomain;

beforeAll(async () => {
  domain = resources.use(await TestDomain.start());
  stranger = resources.use(await TestDomain.start());
  await domain.createEntry('/web');
});
afterAll(() => resources.disposeAsync());

let count = 0;
const nextName = () => `agent-${count++}`;

/** What an agent says that does not start. */
async function refusalOf(more: Partial<TestAgentOptions> = {}, name = nextName()): Promise<string> {
  const error = await domain.startAgent(name, more).then(
    async (agent) => {
      await agent[Symbol.asyncDispose]();
      return expect.unreachable('the agent started');
    },
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(SpiffeError);
  await expect(access(join(domain.folder.path, name, 'public/api.sock'))).rejects.toMatchObject({ code: 'ENOENT' });
  const { message } = error as SpiffeError;
  expect(message.split('\n')).toHaveLength(1);
  return message;
}

describe('the server', () => {
  test('does not answer', async () => {
    const probe = await TestDomain.start();
    const { port: serverPort } = probe;
    await probe[Symbol.asyncDispose]();
    expect(await refusalOf({ serverPort })).toMatch(
      new RegExp(
        `^the server at 127.0.0.1 port ${serverPort} does not answer: connect ECONNREFUSED \\S+; check that it runs`,
      ),
    );
  });

  test('is not verified by the bundle', async () => {
    expect(await refusalOf({ serverPort: stranger.port })).toMatch(
      /is not trusted: no issuer of .*trust bundle is the server's$/,
    );
  });

  test('is of another trust domain', async () => {
    expect(await refusalOf({ trustDomain: 'other.org' })).toContain(
      'the server says it is spiffe://example.org/spire/server, expected spiffe://other.org/spire/server',
    );
  });

  test.each([
    ['behind', -7, 'not valid yet'],
    ['ahead', 7, 'expired already'],
  ])('has a clock that ours is a week %s of', async (_where, days, what) => {
    const clock = () => new Date(Date.now() + days * 86_400_000);
    const message = await refusalOf({ clock });
    expect(message).toContain(`is ${what}: by the server's clock it is valid from `);
    expect(message).toContain(`by this node's clock it is ${clock().toISOString().slice(0, 13)}`);
  });
});

describe('the join token', () => {
  const advice = 'assayer server token generate';
  test('is missing', async () => {
    expect(await refusalOf({ settings: '' })).toMatch(
      new RegExp(`^there is no join token to attest with: .*${advice}`),
    );
  });

  test('is unknown', async () => {
    expect(await refusalOf({ settings: 'join_token = "made-up"' })).toMatch(
      new RegExp(`^the server refused to attest this node: .*does not exist or has already been used.*${advice}`),
    );
  });

  test('is not used up where the socket cannot be had', async () => {
    const settings = `join_token = "${await domain.createToken()}"`;
    const name = nextName();
    const folder = domain.folder.join(name);
    const path = join(folder, 'public/api.sock');
    await mkdir(folder, { mode: 0o700 });
    const other = await listenUnix({ path, mode: 0o600, log: new Logger(() => {}), onConnection: (s) => s.destroy() });
    await expect(domain.startAgent(name, { settings })).rejects.toThrow(/another process listens on it/);
    await other[Symbol.asyncDispose]();
    await using agent = await domain.startAgent(name, { settings });
    expect(await fetchIds(agent)).toEqual(['spiffe://example.org/web']);
  });
});

test('the socket path is too long', async () => {
  expect(await refusalOf({}, 'x'.repeat(120))).toMatch(/the path of a socket has 107 bytes at most/);
});

describe('the data folder', () => {
  const prepare = async (): Promise<readonly [name: string, data: string]> => {
    const name = nextName();
    const data = domain.folder.join(`${name}/data`);
    await mkdir(data, { recursive: true, mode: 0o700 });
    return [name, data];
  };

  test('can be read by everybody', async () => {
    const [name, data] = await prepare();
    await chmod(data, 0o755);
    expect(await refusalOf({}, name)).toMatch(/is open to every user: run chmod o-rwx on it/);
  });

  test.each(['agent-data.json', 'agent_svid.der', 'bundle.der', 'keys.json'])(
    'is a SPIRE agent’s, with %s',
    async (file) => {
      const [name, data] = await prepare();
      await writeFile(join(data, file), '{}');
      expect(await refusalOf({}, name)).toMatch(/is a SPIRE agent's, it has .*: name an empty folder as data_dir/);
      expect(await readFile(join(data, file), 'utf8')).toBe('{}');
    },
  );

  test.each([
    ['damaged', '{"format": "assayer-agent-1", "svid": 7}'],
    ['newer', '{"format": "assayer-agent-9"}'],
    ['cut off', '{"format": "assayer-ag'],
  ])('has data that is %s', async (_what, text) => {
    const [name, data] = await prepare();
    await writeFile(join(data, 'agent.json'), text);
    expect(await refusalOf({}, name)).toMatch(/is damaged or of a newer version: restore it, or remove it/);
    expect(await readFile(join(data, 'agent.json'), 'utf8')).toBe(text);
  });

  test('has data of another trust domain', async () => {
    const name = nextName();
    await (await domain.startAgent(name))[Symbol.asyncDispose]();
    expect(await refusalOf({ trustDomain: 'other.org' }, name)).toMatch(
      /is of trust domain "example.org", not "other.org"/,
    );
  });

  test('has a cache that was tampered with: the agent works without', async () => {
    const name = nextName();
    const first = await domain.startAgent(name);
    const path = domain.folder.join(`${name}/data/workload-cache`);
    await expect.poll(() => readFile(path).catch(() => undefined)).toBeDefined();
    await first[Symbol.asyncDispose]();
    for (const name of ['agent.json', 'workload-cache']) {
      expect((await stat(join(dirname(path), name))).mode & 0o777).toBe(0o600);
    }
    const file = await readFile(path);
    file.writeUInt8(file.readUInt8(file.length - 1) ^ 1, file.length - 1);
    await writeFile(path, file);
    await using second = await domain.startAgent(name, { settings: '' });
    expect(second.messages).toContain('the workload cache is not used');
    expect(await fetchIds(second)).toEqual(['spiffe://example.org/web']);
  });
});

describe('the trust bundle', () => {
  const withBundle = (text: string) => ({ settings: `insecure_bootstrap = false\n  ${text}` });

  test('is not there', async () => {
    expect(await refusalOf(withBundle('trust_bundle_path = "/nowhere.pem"'))).toMatch(
      /^the trust bundle "\/nowhere.pem" cannot be read, correct trust_bundle_path/,
    );
  });

  test('is in the other format', async () => {
    const text = `trust_bundle_path = "${domain.bundlePath}"\n  trust_bundle_format = "spiffe"`;
    expect(await refusalOf(withBundle(text))).toMatch(/cannot be used, see trust_bundle_format/);
  });

  test('is at a URL where nobody answers', async () => {
    expect(await refusalOf(withBundle('trust_bundle_url = "https://127.0.0.1:1/bundle"'))).toMatch(
      /^the trust bundle's server "https:\/\/127.0.0.1:1\/bundle" did not answer: connect ECONNREFUSED/,
    );
  });

  test('is what the first server says, with insecure_bootstrap, and from then on nothing else', async () => {
    const settings = `insecure_bootstrap = true\n  join_token = "${await domain.createToken()}"`;
    const name = nextName();
    const first = await domain.startAgent(name, { settings });
    expect(await fetchIds(first)).toEqual(['spiffe://example.org/web']);
    expect(first.messages).toContain('insecure_bootstrap: the server is taken at its word, an impostor would be too');
    await first[Symbol.asyncDispose]();
    await using second = await domain.startAgent(name, { settings, serverPort: stranger.port });
    expect(second.messages).toContain('serving workloads from the cache of the last run');
    const warnings = second.records.filter(({ message }) => message === 'the server was not synced with');
    expect(warnings[0]?.fields.reason).toMatch(/^the server at 127.0.0.1 port \d+ is not trusted/);
  });
});
