import { writeFileSync } from 'node:fs';
import type { Instance } from '@aws-sdk/client-ec2';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readConfigText } from '../../../src/config/read-config.ts';
import { admitNode } from '../../../src/plugins/aws-iid/admit-node.ts';
import { encodePayload } from '../../../src/plugins/aws-iid/attestation-payload.ts';
import { readState } from '../../../src/plugins/aws-iid/attestor-state.ts';
import { requireOriginalRootDevice } from '../../../src/plugins/aws-iid/root-device.ts';
import { awsServerConfig } from '../../../src/plugins/aws-iid/server-config.ts';
import { findOperatorReason } from '../../../src/rpc/operator-reason.ts';
import { parseTrustDomain } from '../../../src/spiffe/trust-domain.ts';
import { AwsAccount, MAIN_ACCOUNT } from '../../harness/aws-accounts.ts';
import { identityDocument, REGION, regionSigner, signDocument } from '../../harness/ec2-instance.ts';
import { LoopbackWeb } from '../../harness/loopback-web.ts';
import { MotoServer } from '../../harness/moto-server.ts';
import { OpenSsl } from '../../harness/sign-cms.ts';

// AWS' interfaces are a real moto's, asked by AWS' own SDK.

const resources = new AsyncDisposableStack();
let openssl: OpenSsl;
let signer: ReturnType<typeof regionSigner>;
let moto: MotoServer;
let account: AwsAccount;
let node: Instance;

beforeAll(async () => {
  openssl = resources.use(await OpenSsl.open());
  signer = regionSigner(openssl);
  moto = resources.use(await MotoServer.start());
  account = AwsAccount.main(moto.url);
  await account.createProfile('blog');
  node = await account.runInstance('blog');
});
afterAll(() => resources.disposeAsync());

const read = (text: string) => readConfigText(awsServerConfig, text, { source: 'plugin_data' });
const stateOf = (more = '', endpoint = moto.url) =>
  readState(
    read(`
      access_key_id = "test"
      secret_access_key = "test"
      endpoint_url = "${endpoint}"
      region_certificates = { "${REGION}" = "${signer.path}" }
      ${more}`),
  );
const payloadOf = (changes: Readonly<Record<string, unknown>>) => {
  const document = identityDocument(changes);
  return encodePayload({ document, signature: 'x', rsa2048: signDocument(openssl, signer, document) });
};
const admit = async (
  changes: Readonly<Record<string, unknown>>,
  more = '',
  { endpoint = moto.url, signal = AbortSignal.timeout(20_000) } = {},
) =>
  await admitNode(
    payloadOf(changes),
    await stateOf(more, endpoint),
    { trustDomain: parseTrustDomain('example.org'), signal, now: () => Promise.resolve(new Date()) },
    () => Promise.resolve(),
  );

test('an instance gets the ID and the selectors that SPIRE gives it', async () => {
  const [group] = node.SecurityGroups ?? [];
  expect(await admit({ instanceId: node.InstanceId })).toEqual({
    spiffeId: `spiffe://example.org/spire/agent/aws_iid/${MAIN_ACCOUNT}/${REGION}/${node.InstanceId}`,
    selectorValues: [
      `account_id:${MAIN_ACCOUNT}`,
      `az:${REGION}a`,
      `iamrole:arn:aws:iam::${MAIN_ACCOUNT}:role/blog`,
      'image:id:ami-03cf127a',
      `instance:id:${node.InstanceId}`,
      `region:${REGION}`,
      `sg:id:${group?.GroupId}`,
      `sg:name:${group?.GroupName}`,
      'tag:env:',
      'tag:name:blog',
    ],
    canReattest: false,
  });
});

test('the ID is as the template says, with the tags that EC2 has', async () => {
  const path = (template: string) => `agent_path_template = "${template}"`;
  const { spiffeId } = await admit({ instanceId: node.InstanceId }, path('/{{ .Region }}/{{ .Tags.name }}'));
  expect(spiffeId).toBe(`spiffe://example.org/spire/agent/${REGION}/blog`);
  await expect(admit({ instanceId: node.InstanceId }, path('/{{ .Tags.missing }}'))).rejects.toThrow(
    /"agent_path_template" .* gives no agent ID for this node/,
  );
  await expect(admit({}, path('/{{ .Color }}'))).rejects.toThrow(/agent_path_template: the template has ".Color"/);
});

test('IAM is not asked where roles are not wanted', async () => {
  const { selectorValues } = await admit({ instanceId: node.InstanceId }, 'disable_instance_profile_selectors = true');
  expect(selectorValues.filter((value) => value.startsWith('iamrole:'))).toEqual([]);
});

test('an instance of another account is found by the role to assume there, and not without', async () => {
  const other = await account.other('111111111111');
  const { InstanceId: instanceId } = await other.runInstance();
  const changes = { accountId: '111111111111', instanceId };
  const { spiffeId } = await admit(changes, 'assume_role = "delegate"');
  expect(spiffeId).toContain('/111111111111/');
  await expect(admit(changes)).rejects.toThrow(/EC2 knows no instance ".*" that runs, in the account/);
});

test('an instance that is no more is refused', async () => {
  const gone = await account.runInstance();
  await account.terminate(gone);
  await expect(admit({ instanceId: gone.InstanceId })).rejects.toThrow(/EC2 knows no instance .* that runs/);
  await expect(admit({ instanceId: 'i-00000000000000000' })).rejects.toThrow(/EC2 knows no instance/);
});

test('accounts are looked for in the organization, or in a list', async () => {
  const member = await account.createOrganization();
  const settings = (text: string) => `verify_organization = { ${text} }`;
  const organization = settings(`management_account_id = "${MAIN_ACCOUNT}"\nassume_org_role = "lister"`);
  await expect(admit({ instanceId: node.InstanceId }, organization)).resolves.toBeDefined();
  await expect(admit({ accountId: '222222222222' }, organization)).rejects.toThrow(
    /the account 222222222222 is not among the active ones of the organization/,
  );
  await expect(admit({ accountId: member }, organization)).rejects.toThrow(/EC2 knows no instance/);
  const path = openssl.write(JSON.stringify([MAIN_ACCOUNT]));
  await expect(
    admit({ instanceId: node.InstanceId }, settings(`account_list_file = "${path}"`)),
  ).resolves.toBeDefined();
  writeFileSync(path, '[]');
  await expect(admit({ instanceId: node.InstanceId }, settings(`account_list_file = "${path}"`))).rejects.toThrow(
    /is not among the active ones/,
  );
  writeFileSync(path, '["123456789012", 5]');
  await expect(admit({}, settings(`account_list_file = "${path}"`))).rejects.toThrow(
    /is no JSON list of accounts of 12 digits in quotes \(its entry 1 is none\)/,
  );
});

test('instances are looked for in the node groups of clusters', async () => {
  const instanceId = await account.createCluster('production');
  const cluster = 'validate_eks_cluster_membership = { eks_cluster_names = ["production"] }';
  await expect(admit({ instanceId }, `${cluster}\nskip_block_device = true`)).resolves.toBeDefined();
  await expect(admit({ instanceId: node.InstanceId }, cluster)).rejects.toThrow(/is in no node group of the clusters/);
  const missing = 'validate_eks_cluster_membership = { eks_cluster_names = ["staging"] }';
  await expect(admit({ instanceId }, missing)).rejects.toThrow(
    /the server asked EKS for the cluster "staging" in vain/,
  );
});

const times = (root: string | undefined, network: string | undefined): Instance => ({
  RootDeviceName: '/dev/xvda',
  RootDeviceType: 'ebs',
  BlockDeviceMappings: [
    { DeviceName: '/dev/sdb', Ebs: { AttachTime: new Date('2020-01-01') } },
    { DeviceName: '/dev/xvda', Ebs: root === undefined ? {} : { AttachTime: new Date(root) } },
  ],
  NetworkInterfaces: [
    { Attachment: { DeviceIndex: 1, AttachTime: new Date('2020-01-01') } },
    ...(network === undefined ? [] : [{ Attachment: { DeviceIndex: 0, AttachTime: new Date(network) } }]),
  ],
});
test.each<readonly [string, Instance, RegExp | undefined]>([
  ['attached with the instance', times('2026-01-01T00:01:00Z', '2026-01-01T00:00:00Z'), undefined],
  [
    'attached a minute and a second later',
    times('2026-01-01T00:01:01Z', '2026-01-01T00:00:00Z'),
    /was attached 61 s apart from its network interface 0: was it replaced\?/,
  ],
  ['attached earlier', times('2025-01-01T00:00:00Z', '2026-01-01T00:00:00Z'), /s apart/],
  ['of which nothing is known', times(undefined, '2026-01-01T00:00:00Z'), /its root device "\/dev\/xvda" was attached/],
  ['beside no first network', times('2026-01-01T00:00:00Z', undefined), /network interface 0 was attached/],
  ['that is the instance’s own', { RootDeviceType: 'instance-store' }, undefined],
  ['of an instance that tells nothing', {}, /network interface 0/],
])('a root device %s is judged', (_what, instance, message) => {
  const judge = () => requireOriginalRootDevice(instance);
  if (message === undefined) expect(judge).not.toThrow();
  else expect(judge).toThrow(message);
});

test('a peer does not hear what AWS says to the server, the operator does', async () => {
  await using web = await LoopbackWeb.start();
  const message = 'User: arn:aws:iam::123456789012:user/server is not authorized to perform: ec2:DescribeInstances';
  const body = `<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>${message}</Message></Error></Errors></Response>`;
  web.pages.set('/', () => ({ status: 403, headers: { 'Content-Type': 'text/xml' }, body }));
  const refusal = await admit({}, '', { endpoint: web.url }).catch((error: unknown) => error);
  expect(refusal).toMatchObject({
    message: 'the server asked EC2 for the instance "i-1234567890abcdef0" in vain (UnauthorizedOperation)',
  });
  expect(findOperatorReason(refusal)).toBe(message);
});

test('nobody waits for AWS once the agent has gone', async () => {
  await using web = await LoopbackWeb.start();
  const gone = new AbortController();
  web.pages.set('/', () => {
    gone.abort();
    return 'never';
  });
  await expect(admit({}, '', { endpoint: web.url, signal: gone.signal })).rejects.toThrow(/in vain \(AbortError\)/);
});

test.each([
  ['access_key_id = "x"', /has only one of "access_key_id" and "secret_access_key"/],
  ['partition = "mars"', /must be "aws", "aws-cn" or "aws-us-gov"/],
  [
    'verify_organization = {}',
    /needs either "management_account_id" and "assume_org_role", or "account_list_file" alone/,
  ],
  ['verify_organization = { account_list_file = "/x"\nassume_org_role = "y" }', /alone/],
  ['verify_organization = { account_list_file = "/x"\norg_account_map_ttl = "30s" }', /must be one minute or more/],
  ['validate_eks_cluster_membership = { eks_cluster_names = [] }', /must name the clusters/],
  ['endpoint_url = "http://example.org"', /must be a URL that starts with https:\/\//],
  ['assume_role = "arn:aws:iam::1:role/x"', /must be the name of a role/],
  ['aws_region = "x"', /aws_region/],
])('the configuration %j is refused', (text, message) => {
  expect(() => read(text)).toThrow(message);
});
