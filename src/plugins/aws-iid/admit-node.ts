import type { Instance } from '@aws-sdk/client-ec2';
import {
  type AgentAttributes,
  type ServerAttestationContext,
  SpiffeError,
  type SpiffeId,
} from '../../plugin-sdk/index.ts';
import { decodePayload } from './attestation-payload.ts';
import type { AwsAttestorState } from './attestor-state.ts';
import type { AwsSession } from './aws-session.ts';
import { describeInstance, findRoles } from './describe-node.ts';
import { type IdentityDocument, verifyDocument } from './identity-document.ts';
import { requireOriginalRootDevice } from './root-device.ts';

/** For all that AWS is asked for one node. */
const DEADLINE_MS = 20_000;

type Context = Pick<ServerAttestationContext, 'trustDomain' | 'signal' | 'now'>;

/**
 * The server's half: from an identity document to an agent's ID and selectors.
 *
 * @param requireFirstUse refuses an agent that is attested
 * @throws SpiffeError that says why the node is not admitted
 * @see docs/plugins/aws-iid.md
 */
export async function admitNode(
  payload: Uint8Array,
  state: AwsAttestorState,
  { trustDomain, signal, now }: Context,
  requireFirstUse: (id: SpiffeId) => Promise<void>,
): Promise<AgentAttributes> {
  const { config, sessions, agentPath } = state;
  const document = verifyDocument(decodePayload(payload), state.findCertificates, await now());
  const { accountId, region, instanceId } = document;
  const agentIdOf = (tags: Readonly<Record<string, string>>) =>
    agentPath.template.agentId(trustDomain, {
      PluginName: 'aws_iid',
      AccountID: accountId,
      Region: region,
      InstanceID: instanceId,
      Tags: tags,
    });
  // Before AWS is asked anything, where that can be: documents are good for ever.
  const early = agentPath.hasTags ? undefined : agentIdOf({});
  if (early !== undefined) await requireFirstUse(early);
  const session = sessions.of(accountId, region);
  await requireBelonging(document, state, session);
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]);
  const instance = await describeInstance(session, instanceId, deadline);
  if (!config.skip_block_device && !config.account_ids_for_local_validation.includes(accountId)) {
    requireOriginalRootDevice(instance);
  }
  const spiffeId = early ?? agentIdOf(tagsOf(instance));
  if (early === undefined) await requireFirstUse(spiffeId);
  const roles = config.disable_instance_profile_selectors ? [] : await findRoles(session, instance, deadline);
  return { spiffeId, selectorValues: selectorsOf(document, instance, roles), canReattest: false };
}

function tagsOf({ Tags: tags = [] }: Instance): Readonly<Record<string, string>> {
  return Object.fromEntries(tags.map(({ Key: key = '', Value: value = '' }) => [key, value]));
}

async function requireBelonging(
  { accountId, instanceId }: IdentityDocument,
  { organization, eksNodes }: AwsAttestorState,
  session: AwsSession,
): Promise<void> {
  if (organization !== undefined && !(await organization.has(accountId))) {
    throw new SpiffeError(
      'ATTESTATION_DENIED',
      `the account ${accountId} is not among the active ones of the organization ("verify_organization")`,
    );
  }
  if (eksNodes !== undefined && !(await eksNodes.has(instanceId, session))) {
    throw new SpiffeError(
      'ATTESTATION_DENIED',
      `the instance "${instanceId}" is in no node group of the clusters of "validate_eks_cluster_membership"`,
    );
  }
}

/** Sorted, as SPIRE has them, each once. */
function selectorsOf(document: IdentityDocument, instance: Instance, roles: readonly string[]): readonly string[] {
  const values = [
    `account_id:${document.accountId}`,
    `az:${document.availabilityZone}`,
    `image:id:${document.imageId}`,
    `instance:id:${document.instanceId}`,
    `region:${document.region}`,
    ...roles.map((arn) => `iamrole:${arn}`),
    ...(instance.SecurityGroups ?? []).flatMap(({ GroupId: id = '', GroupName: name = '' }) => [
      `sg:id:${id}`,
      `sg:name:${name}`,
    ]),
    ...(instance.Tags ?? []).map(({ Key: key = '', Value: value = '' }) => `tag:${key}:${value}`),
  ];
  return [...new Set(values)].toSorted();
}
