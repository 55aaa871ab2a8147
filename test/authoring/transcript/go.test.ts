import { afterAll, beforeAll, expect, test } from 'vitest';
import { recordAttestation, replayAttestation, type Transcript } from '../../../src/authoring/transcript/index.ts';
import { describeWithGo } from '../../harness/requires.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../harness/temporary-folder.ts';
import { goPlugin } from '../../plugin-host/go-plugins.ts';
import { DIGEST_SERVER, executable, half, TRUST_DOMAIN } from './digest-halves.ts';

describeWithGo('halves built with the plugin SDK for Go', () => {
  let folder: TemporaryFolder;
  let agent: string;
  beforeAll(async () => {
    folder = await createTemporaryFolder();
    agent = await goPlugin('agent-node-attestor');
  });
  afterAll(() => folder[Symbol.asyncDispose]());

  async function record(server: string, hcl: string): Promise<Transcript> {
    return await recordAttestation({
      agent: await executable(folder, agent, 'node = "go-node"'),
      server: await executable(folder, server, hcl),
      trustDomain: TRUST_DOMAIN,
      clientAddress: '192.0.2.7',
    });
  }

  test.each(['1.4.0', '1.8.0'] as const)(
    'that draw from the host replay with the same verdict, go-plugin %s',
    async (version) => {
      const server = await goPlugin('server-node-attestor', version);
      const transcript = await record(server, '');
      expect(transcript.verdict).toMatchObject({
        outcome: 'admitted',
        spiffeId: 'spiffe://example.org/spire/agent/go_digest/go-node',
        selectorValues: expect.arrayContaining(['x-forwarded-client-ip:192.0.2.7', 'agent-store:NotFound']),
      });
      expect(transcript.draws.random).toEqual([transcript.messages[1]?.bytes]);
      const { differences, divergence } = await replayAttestation({
        transcript,
        server: { command: server, args: [] },
        randomness: 'recorded',
      });
      expect({ differences, divergence }).toEqual({ differences: [], divergence: undefined });
    },
  );

  test('that draw by themselves are refused when they are replayed, either way', async () => {
    const server = await goPlugin('server-node-attestor');
    const transcript = await record(server, 'own_randomness = true');
    expect(transcript.draws.random).toEqual([]);
    for (const randomness of ['recorded', 'fresh'] as const) {
      const replay = { transcript, server: { command: server, args: [] }, randomness };
      const { replayed, divergence } = await replayAttestation(replay);
      expect(replayed).toMatchObject({ outcome: 'refused', message: 'go_digest: the answer is wrong' });
      expect(divergence).toEqual({ message: 2, what: 'another challenge than was recorded' });
    }
  });

  test('mix with halves in another language, and a server half may be replaced by one', async () => {
    const transcript = await recordAttestation({
      agent: await executable(folder, agent, 'node = "go-node"'),
      server: await half(folder, DIGEST_SERVER, ''),
      trustDomain: TRUST_DOMAIN,
    });
    const server = { command: await goPlugin('server-node-attestor'), args: [] };
    const { differences, changedFiles } = await replayAttestation({ transcript, server, randomness: 'recorded' });
    expect(differences).toContainEqual({
      field: 'spiffe_id',
      recorded: 'spiffe://example.org/spire/agent/digest/go-node',
      replayed: 'spiffe://example.org/spire/agent/go_digest/go-node',
    });
    expect(changedFiles).toEqual(['server-node-attestor']);
  });

  test('close the stream, which is no verdict', async () => {
    const closing = recordAttestation({
      agent: await executable(folder, agent, 'node = "close"'),
      server: await executable(folder, await goPlugin('server-node-attestor'), ''),
      trustDomain: TRUST_DOMAIN,
    });
    await expect(closing).rejects.toThrow('the agent half: it sent the end of the stream where a payload was due');
  });
});
