import { type AgentPath, readAgentPath } from './agent-path.ts';
import { AwsSessions } from './aws-sessions.ts';
import { EksNodes } from './eks-nodes.ts';
import type { FindCertificates } from './identity-document.ts';
import { readCertificates } from './known-certificates.ts';
import type { MembershipList } from './membership-list.ts';
import { readOrganization } from './organization.ts';
import type { AwsServerConfig } from './server-config.ts';

/** What the server half knows: a value that a new configuration replaces. */
export interface AwsAttestorState {
  readonly config: AwsServerConfig;
  readonly agentPath: AgentPath;
  readonly findCertificates: FindCertificates;
  readonly sessions: AwsSessions;
  /** Undefined: accounts are not looked for in an organization. */
  readonly organization: MembershipList | undefined;
  /** Undefined: instances are not looked for in clusters. */
  readonly eksNodes: EksNodes | undefined;
}

/** @throws SpiffeError `CONFIG_INVALID` */
export async function readState(config: AwsServerConfig): Promise<AwsAttestorState> {
  const { verify_organization: organization, validate_eks_cluster_membership: eks } = config;
  const sessions = new AwsSessions(config);
  return {
    config,
    sessions,
    agentPath: readAgentPath(config.agent_path_template),
    findCertificates: await readCertificates(config.region_certificates),
    organization: organization && (await readOrganization(organization, sessions)),
    eksNodes: eks && new EksNodes(eks.eks_cluster_names),
  };
}
