import { dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { TestDomain } from '../../agent/test-domain.ts';
import { DockerEngine } from '../../harness/docker-engine.ts';
import { NODE_OPTIONS, nodeCommand } from '../../harness/node-in-container.ts';
import { diskKeys, JOIN_TOKEN_AND_UNIX, type TestAgent } from '../../harness/running-agent.ts';

vi.setConfig({ testTimeout: 90_000 });

const resources = new AsyncDisposableStack();
let engine: DockerEngine;
let domain: TestDomain;

beforeAll(async () => {
  engine = resources.use(await DockerEngine.start());
  domain = resources.use(await TestDomain.start());
  const docker = (...values: readonly string[]) => ({ selectors: values.map((value) => ({ type: 'docker', value })) });
  await domain.createEntry('/web', docker('label:app:web', `image_config_digest:${engine.imageId}`));
  await domain.createEntry('/other', docker('label:app:other'));
  await domain.createEntry('/root', { selectors: [{ type: 'unix', value: 'uid:0' }] });
});
afterAll(() => resources.disposeAsync());

async function startAgent(name: string, socketPath: string): Promise<TestAgent> {
  const docker = `WorkloadAttestor "docker" { plugin_data { docker_socket_path = "unix://${socketPath}" } }`;
  const plugins = `${diskKeys(domain.folder.join(name))}\n  ${JOIN_TOKEN_AND_UNIX}\n  ${docker}`;
  return await domain.startAgent(name, { plugins });
}

/** The SPIFFE IDs that a container with a label gets. */
async function identitiesOf(app: string, agent: TestAgent): Promise<readonly string[]> {
  const folder = dirname(agent.running.socketPath);
  const options = [...NODE_OPTIONS, '--label', `app=${app}`, '--volume', `${folder}:/agent`];
  const command = nodeCommand('test/e2e/workload.main.ts', '/agent/api.sock', '');
  const answer = JSON.parse(await engine.commands.runOnce({ options, command }));
  return answer.x509.map(({ spiffeId }: { readonly spiffeId: string }) => spiffeId).sort();
}

describe('a workload in a container of Docker', () => {
  test('gets the identity that its label and its image earn', async () => {
    await using agent = await startAgent('agent', engine.socketPath);
    expect(await identitiesOf('web', agent)).toEqual(['spiffe://example.org/root', 'spiffe://example.org/web']);
    expect(await identitiesOf('nobody', agent)).toEqual(['spiffe://example.org/root']);
  });

  test('gets what other attestors know of it while Docker cannot be asked, and the log says what to do', async () => {
    const path = engine.folder.join('absent.sock');
    await using agent = await startAgent('unheard', path);
    expect(await identitiesOf('web', agent)).toEqual(['spiffe://example.org/root']);
    const sentence = `Docker has no socket at ${path}: start Docker, or set docker_socket_path to where it listens`;
    expect(agent.records).toContainEqual(
      expect.objectContaining({
        level: 'error',
        message: 'a workload attestor failed',
        fields: expect.objectContaining({ reason: expect.stringContaining(sentence) }),
      }),
    );
  });
});
