import { afterAll, beforeAll, expect, test } from 'vitest';
import { AgentDefinition } from '../../src/gen/spire/api/server/agent/v1/agent.ts';
import { parseSpiffeId } from '../../src/spiffe/spiffe-id.ts';
import { TestDomain } from '../agent/test-domain.ts';
import { AwsAccount, MAIN_ACCOUNT } from '../harness/aws-accounts.ts';
import { AzureCloud, SUBSCRIPTION, TENANT_DOMAIN, TENANT_ID, VM_ID } from '../harness/azure-cloud.ts';
import { identityDocument, REGION, regionSigner, serveInstance, signDocument } from '../harness/ec2-instance.ts';
import { GoogleCloud, INSTANCE, SERVICE_ACCOUNT } from '../harness/google-cloud.ts';
import { LoopbackWeb } from '../harness/loopback-web.ts';
import { MotoServer } from '../harness/moto-server.ts';
import { OpenSsl } from '../harness/sign-cms.ts';

// Server, agents and attestors whole, each in its sandbox; the clouds' interfaces are on loopback.

const resources = new AsyncDisposableStack();
let openssl: OpenSsl;
let google: GoogleCloud;
let azure: AzureCloud;
let imds: LoopbackWeb;
let instanceId: string;
let domain: TestDomain;

beforeAll(async () => {
  openssl = resources.use(await OpenSsl.open());
  google = resources.use(await GoogleCloud.start(openssl));
  azure = resources.use(await AzureCloud.start(openssl));
  imds = resources.use(await LoopbackWeb.start());
  const moto = resources.use(await MotoServer.start());
  instanceId = (await AwsAccount.main(moto.url).runInstance()).InstanceId ?? '';
  const signer = regionSigner(openssl);
  const document = identityDocument({ instanceId });
  serveInstance(imds, document, signDocument(openssl, signer, document));
  domain = resources.use(
    await TestDomain.start({
      plugins: `KeyManager "memory" {}
  NodeAttestor "gcp_iit" {
    plugin_data {
      projectid_allow_list = ["${INSTANCE.project_id}"]
      use_instance_metadata = true
      certificates_url = "${google.certificatesUrl}"
      compute_url = "${google.web.url}"
      metadata_host = "${google.web.host}"
    }
  }
  NodeAttestor "aws_iid" {
    plugin_data {
      access_key_id = "test"
      secret_access_key = "test"
      endpoint_url = "${moto.url}"
      region_certificates = { "${REGION}" = "${signer.path}" }
    }
  }
  NodeAttestor "azure_imds" {
    plugin_data {
      tenants = { "${TENANT_DOMAIN}" = {} }
      ${azure.settings}
    }
  }`,
    }),
  );
});
afterAll(() => resources.disposeAsync());

const startAgent = (name: string, attestor: string) =>
  domain.startAgent(name, {
    settings: '',
    plugins: `KeyManager "memory" {}\n  WorkloadAttestor "unix" {}\n  ${attestor}`,
  });

async function selectorsOf(path: string): Promise<readonly string[]> {
  const { selectors } = await domain.server
    .admin(AgentDefinition)
    .getAgent({ id: { trustDomain: 'example.org', path }, outputMask: undefined });
  return selectors.map(({ type, value }) => `${type}:${value}`);
}

test('a machine of Google’s attests once, and again when its agent is evicted', async () => {
  const attestor = `NodeAttestor "gcp_iit" { plugin_data { identity_token_host = "${google.web.host}" } }`;
  const path = `/spire/agent/gcp_iit/${INSTANCE.project_id}/${INSTANCE.instance_id}`;
  {
    await using agent = await startAgent('google', attestor);
    expect(agent.messages).toContain('agent is ready');
  }
  expect(await selectorsOf(path)).toEqual(
    expect.arrayContaining(['gcp_iit:project-id:blue-project', `gcp_iit:sa:${SERVICE_ACCOUNT}`, 'gcp_iit:tag:web']),
  );
  await expect(startAgent('thief', attestor)).rejects.toThrow(/has attested before, and attests once only/);
  await domain.evict(parseSpiffeId(`spiffe://example.org${path}`));
  await using again = await startAgent('google-again', attestor);
  expect(again.messages).toContain('agent is ready');
});

test('an instance of EC2 attests once', async () => {
  const attestor = `NodeAttestor "aws_iid" { plugin_data { ec2_metadata_endpoint = "${imds.url}/latest" } }`;
  {
    await using agent = await startAgent('aws', attestor);
    expect(agent.messages).toContain('agent is ready');
  }
  expect(await selectorsOf(`/spire/agent/aws_iid/${MAIN_ACCOUNT}/${REGION}/${instanceId}`)).toEqual(
    expect.arrayContaining([`aws_iid:instance:id:${instanceId}`, 'aws_iid:tag:name:blog']),
  );
  await expect(startAgent('aws-thief', attestor)).rejects.toThrow(/has attested before, and attests once only/);
});

test('a machine of Azure’s attests once', async () => {
  const settings = `tenant_domain = "${TENANT_DOMAIN}"\nmetadata_endpoint = "${azure.web.url}"`;
  const attestor = `NodeAttestor "azure_imds" { plugin_data { ${settings} } }`;
  {
    await using agent = await startAgent('azure', attestor);
    expect(agent.messages).toContain('agent is ready');
  }
  expect(await selectorsOf(`/spire/agent/azure_imds/${TENANT_ID}/${SUBSCRIPTION}/${VM_ID}`)).toEqual(
    expect.arrayContaining(['azure_imds:vm-name:blog', 'azure_imds:virtual-network:vnet']),
  );
  await expect(startAgent('azure-thief', attestor)).rejects.toThrow(/has attested before, and attests once only/);
});
