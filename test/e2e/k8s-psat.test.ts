import { rename, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AgentDefinition } from '../../src/gen/spire/api/server/agent/v1/agent.ts';
import { TestAuthority } from '../../src/testing/test-authority.ts';
import { TestDomain } from '../agent/test-domain.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { sampleToken } from '../plugins/k8s-psat/sample-token.ts';
import { ApiStandIn } from '../plugins/kubernetes/api-stand-in.ts';
import { recordedExchanges } from '../plugins/kubernetes/exchange.ts';

// A whole server and agent, with their plugins in their sandboxes, and an API server that answers as a real one did.
const resources = new AsyncDisposableStack();
let folder: TemporaryFolder;
let api: ApiStandIn;
let domain: TestDomain;

beforeAll(async () => {
  folder = resources.use(await createTemporaryFolder());
  api = resources.use(await ApiStandIn.start(resources.use(await TestAuthority.create())));
  const kubeconfig = await api.writeKubeconfig(folder.join('kubeconfig'));
  domain = resources.use(
    await TestDomain.start({
      plugins: `KeyManager "memory" {}
  NodeAttestor "k8s_psat" {
    plugin_data {
      clusters = {
        "main" = {
          service_account_allow_list = ["spire:spire-agent"]
          kube_config_file = "${kubeconfig}"
        }
      }
    }
  }`,
    }),
  );
});
afterAll(() => resources.disposeAsync());

const startAgent = (name: string, cluster: string) =>
  domain.startAgent(name, {
    settings: `trust_bundle_path = "${domain.bundlePath}"`,
    plugins: `KeyManager "memory" {}
  NodeAttestor "k8s_psat" { plugin_data { cluster = "${cluster}" token_path = "${folder.join('token')}" } }
  WorkloadAttestor "unix" {}`,
  });

/** As the kubelet does it. */
async function writeToken(claims: object): Promise<string> {
  const token = sampleToken(claims);
  await writeFile(folder.join('token.new'), token, { mode: 0o600 });
  await rename(folder.join('token.new'), folder.join('token'));
  return token;
}

const tokensAsked = () =>
  api.arrived.filter(({ method }) => method === 'POST').map(({ body }) => JSON.parse(body).spec.token);

test('an agent attests with the token of the moment, and is the same when it comes again', async () => {
  api.replay(recordedExchanges('attested'));
  const [, , node] = recordedExchanges('attested');
  const body = node?.body as { metadata: { uid: string } } | undefined;
  const uid = body?.metadata.uid;
  const first = await writeToken({ jti: 'first' });
  await using _first = await startAgent('first', 'main');
  const second = await writeToken({ jti: 'second' });
  await using _second = await startAgent('second', 'main');
  expect(tokensAsked()).toEqual([first, second]);
  const request = { filter: undefined, outputMask: undefined, pageSize: 0, pageToken: '' };
  const { agents } = await domain.server.admin(AgentDefinition).listAgents(request);
  expect(agents.map(({ id }) => id?.path)).toEqual([`/spire/agent/k8s_psat/main/${uid}`]);
  expect(agents[0]?.canReattest).toBe(true);
  expect(agents[0]?.selectors.map(({ type, value }) => `${type}:${value}`)).toContain('k8s_psat:agent_sa:spire-agent');
});

test.each([
  ['a token for somebody else', 'wrong-audience', 'main', /it is for \\*"vault\\*" and not for \\*"spire-server/],
  ['a server without its rights', 'nobody', 'main', /the API server of cluster \\*"main\\*" could not be asked/],
  ['a cluster that the server does not know', 'attested', 'elsewhere', /no cluster \\*"elsewhere\\*" is configured/],
])(
  '%s is refused in a sentence that the agent has, and its token is in no log',
  async (name, answers, cluster, message) => {
    api.replay(recordedExchanges(answers));
    const token = await writeToken({ aud: ['vault'], jti: name });
    await expect(startAgent(`refused-${answers}-${cluster}`, cluster)).rejects.toThrow(message);
    const logged = JSON.stringify(domain.server.records, (_key, value) =>
      typeof value === 'bigint' ? `${value}` : value,
    );
    expect(logged).not.toContain(token);
    if (answers === 'nobody') expect(logged).toMatch(/status 403.*tokenreviews/);
  },
);
