import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { replayAttestation, type Transcript } from '../../../src/authoring/transcript/index.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../harness/temporary-folder.ts';
import { DIGEST_AGENT, DIGEST_SERVER, record, replay } from './digest-halves.ts';

let folder: TemporaryFolder;
let transcript: Transcript;
beforeAll(async () => {
  folder = await createTemporaryFolder();
  transcript = await record(folder);
});
afterAll(() => folder[Symbol.asyncDispose]());

test('a recording has every message, what was drawn, and the verdict', () => {
  const [payload, challenge, response] = transcript.messages;
  expect(transcript.messages.map(({ kind }) => kind)).toEqual(['payload', 'challenge', 'response']);
  expect(Buffer.from(payload?.bytes ?? []).toString()).toBe('node-1');
  expect(transcript.draws.random).toEqual([challenge?.bytes]);
  expect(response?.bytes).toHaveLength(32);
  expect(transcript).toMatchObject({
    trustDomain: 'example.org',
    configuration: '',
    verdict: { outcome: 'admitted', spiffeId: 'spiffe://example.org/spire/agent/digest/node-1', canReattest: true },
  });
  expect(transcript.executables.server.map(({ name }) => name)).toEqual(['node', DIGEST_SERVER.split('/').at(-1)]);
  expect(transcript.executables.agent.at(-1)?.name).toBe(DIGEST_AGENT.split('/').at(-1));
});

describe('a replay with what was drawn', () => {
  test('has the same challenge and the same verdict', async () => {
    const { differences, divergence, changedFiles, warnings } = await replay(folder, transcript);
    expect({ differences, divergence, changedFiles, warnings }).toEqual({
      differences: [],
      divergence: undefined,
      changedFiles: [],
      warnings: [],
    });
  });

  test('has the recorded times, and the last one from then on', async () => {
    const recorded = await record(folder, 'tell_time = true');
    expect(recorded.draws.times).toHaveLength(2);
    expect((await replay(folder, recorded)).differences).toEqual([]);
    const [first] = recorded.draws.times;
    const shorter = { ...recorded, draws: { ...recorded.draws, times: first ? [first] : [] } };
    const { replayed } = await replay(folder, shorter);
    const iso = first?.toISOString();
    expect(replayed).toMatchObject({ selectorValues: ['a', 'b', `time:${iso}`, `later:${iso}`] });
  });

  test('takes selectors as a set', async () => {
    expect((await replay(folder, transcript, 'selectors = ["b", "a", "a"]')).differences).toEqual([]);
  });

  test.each([
    ['another ID', 'suffix = "-new"', 'spiffe_id', /node-1$/, /node-1-new$/],
    ['a selector more', 'selectors = ["a", "b", "c"]', 'selector', undefined, /^c$/],
    ['a selector less', 'selectors = ["a"]', 'selector', /^b$/, undefined],
    ['attestation once', 'can_reattest = false', 'can_reattest', /^true$/, /^false$/],
    ['a refusal', 'refuse = "policy"', 'outcome', /^admitted$/, /^refused$/],
  ] as const)('shows %s', async (_what, config, field, recorded, replayed) => {
    const result = await replay(folder, transcript, config);
    const side = (pattern: RegExp | undefined) => (pattern === undefined ? undefined : expect.stringMatching(pattern));
    const wanted = { field, recorded: side(recorded), replayed: side(replayed) };
    expect(result.differences).toEqual([
      Object.fromEntries(Object.entries(wanted).filter(([, text]) => text !== undefined)),
    ]);
    expect(result.divergence).toEqual({ message: 4, what: 'another verdict' });
    expect(result.configuration).toBe('given');
  });

  test.each([
    ['of another size', 'draws = [16]', 2, 'draw 1 of 16 random bytes had 32 bytes when recorded'],
    ['that is new', 'draws = [32, 8]', 2, 'draw 2 of 8 random bytes was not recorded'],
  ])('cannot go on at a draw %s', async (_what, config, message, what) => {
    const { replayed, divergence } = await replay(folder, transcript, config);
    expect(divergence).toEqual({ message, what });
    expect(replayed).toEqual({ outcome: 'unfinished', message: `${what}: record the attestation anew` });
  });

  test('ends where the server half asks for more than was recorded', async () => {
    const { replayed, divergence, differences } = await replay(folder, transcript, 'rounds = 2');
    expect(replayed).toMatchObject({ outcome: 'unfinished', message: expect.stringContaining('challenge 2') });
    expect(divergence).toEqual({ message: 4, what: 'a challenge where it had decided when recorded' });
    expect(differences).toEqual([{ field: 'outcome', recorded: 'admitted', replayed: 'unfinished' }]);
  });

  test('tells of a verdict that comes earlier', async () => {
    const { divergence, differences } = await replay(folder, await record(folder, 'rounds = 2'), 'rounds = 1');
    expect(divergence).toEqual({ message: 4, what: 'a verdict where it had sent a challenge when recorded' });
    expect(differences).toEqual([]);
  });

  test('cannot repeat the challenge of a server half that draws by itself, and says so', async () => {
    const own = await record(folder, 'draws = []\nchallenge = "own"');
    const { replayed, divergence, warnings } = await replay(folder, own);
    expect(replayed).toMatchObject({ outcome: 'refused', message: 'the answer is wrong' });
    expect(divergence).toEqual({ message: 2, what: 'another challenge than was recorded' });
    expect(warnings).toEqual([expect.stringContaining('has to draw with the host service Randomness')]);
  });

  test('of a refusal is the same where it is refused in the same way', async () => {
    const refused = await record(folder, 'refuse = "not this node"');
    expect(refused.verdict).toMatchObject({
      outcome: 'refused',
      message: 'not this node',
    });
    expect((await replay(folder, refused, 'refuse = "in other words"')).differences).toEqual([]);
    expect((await replay(folder, refused, '')).differences).toEqual([
      { field: 'outcome', recorded: 'refused', replayed: 'admitted' },
    ]);
  });
});

describe('a replay attack', () => {
  test('is refused by a sound server half, at its challenge', async () => {
    const { replayed, divergence, warnings } = await replay(folder, transcript, undefined, 'fresh');
    expect(replayed).toMatchObject({ outcome: 'refused', message: 'the answer is wrong' });
    expect(divergence).toEqual({ message: 2, what: 'another challenge than was recorded' });
    expect(warnings).toEqual([]);
  });

  test.each([
    ['does not look at the answer', 'careless = true', 'the answer is not bound to the challenge'],
    ['has one challenge for all', 'challenge = "fixed"', 'the challenge is the same every time'],
    ['has no challenge', 'rounds = 0', 'admitted without a challenge'],
  ])('comes through where the server half %s', async (_what, config, warning) => {
    const recorded = await record(folder, config);
    const { replayed, warnings } = await replay(folder, recorded, undefined, 'fresh');
    expect(replayed.outcome).toBe('admitted');
    expect(warnings).toEqual([expect.stringContaining(warning)]);
  });

  test('that is refused before its challenge proves nothing', async () => {
    const { replayed, warnings } = await replay(folder, transcript, 'rounds = 0\nrefuse = "no"', 'fresh');
    expect(replayed.outcome).toBe('refused');
    expect(warnings).toEqual([expect.stringContaining('before any challenge')]);
  });
});

test.each([0, 65_537])('a draw of %i bytes is refused', async (size) => {
  const { verdict } = await record(folder, `draws = [${size}]`);
  expect(verdict).toMatchObject({ outcome: 'refused', message: `a draw has 1 to 65536 bytes, not ${size}` });
});

describe('what is no verdict', () => {
  test.each([
    ['server half that ends', 'crash = true', '', /^the server half: the plugin's process exited with status 3/],
    ['server half that never decides', 'rounds = 100', '', /has not decided after 64 messages$/],
    ['server half that is not configured', 'drows = 1', '', /^the server half: .*did you mean "draws"\?/],
    ['agent half that fails', '', 'fail = true', /^the agent half: internal error$/],
    ['agent half that is not configured', '', 'nod = 1', /^the agent half: .*did you mean "node"\?/],
  ])('is not recorded: a %s', async (_what, server, agent, message) => {
    await expect(record(folder, server, agent)).rejects.toThrow(message);
  });

  test.each([
    ['is an agent half', DIGEST_AGENT, /^the server half: no supported plugin interface found.*it is for the agent/],
    [
      'is no plugin',
      '--version',
      /^the server half: first line on stdout is not a handshake|^the server half: .*exited/,
    ],
  ])('is not replayed: a command that %s', async (_what, argument, message) => {
    const server = { command: process.execPath, args: [argument] };
    await expect(replayAttestation({ transcript, server, randomness: 'recorded' })).rejects.toThrow(message);
  });
});
