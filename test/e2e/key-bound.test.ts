import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Swtpm, startSwtpm } from '../../src/testing/swtpm.ts';
import { TestDomain } from '../agent/test-domain.ts';
import { TestAgent } from '../harness/running-agent.ts';

const resources = new AsyncDisposableStack();
let tpm: Swtpm;
let domain: TestDomain;
beforeAll(async () => {
  tpm = resources.use(await startSwtpm());
  domain = resources.use(
    await TestDomain.start({
      plugins: `KeyManager "memory" {}\n NodeAttestor "tpm" {\n plugin_data {\n virtual_ca_path = "${tpm.caPath}"\n }\n }`,
    }),
  );
});
afterAll(() => resources.disposeAsync());

test('an agent attests and syncs with a key that never left its TPM', async () => {
  const folder = domain.folder.join('agent');
  await using agent = await TestAgent.start({
    folder,
    serverPort: domain.port,
    settings: `trust_bundle_path = "${domain.bundlePath}"`,
    plugins: `KeyManager "tpm" {
    plugin_data {
      tcti = "${tpm.tcti}"
      keys_path = "${folder}/data/keys"
    }
  }
  NodeAttestor "tpm" {
    plugin_data {
      tcti = "${tpm.tcti}"
      keys_path = "${folder}/data/keys"
    }
  }
  WorkloadAttestor "unix" {}`,
  });
  expect(agent.messages).toContain('agent is ready');
});
