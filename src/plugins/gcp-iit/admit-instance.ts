import {
  type AgentAttributes,
  type ServerAttestationContext,
  SpiffeError,
  type SpiffeId,
} from '../../plugin-sdk/index.ts';
import type { GcpAttestorState } from './attestor-state.ts';
import { fetchInstance, type Instance } from './fetch-instance.ts';
import { verifyIdentityToken } from './identity-token.ts';
import type { GcpServerConfig } from './server-config.ts';

type Context = Pick<ServerAttestationContext, 'trustDomain' | 'signal' | 'now'>;

/**
 * The server's half: from a token to an agent's ID and selectors.
 *
 * @param requireFirstUse refuses an agent that is attested
 * @throws SpiffeError that says why the node is not admitted
 * @see docs/plugins/gcp-iit.md
 */
export async function admitInstance(
  payload: Uint8Array,
  { config, keys, credentials }: GcpAttestorState,
  { trustDomain, signal, now }: Context,
  requireFirstUse: (id: SpiffeId) => Promise<void>,
): Promise<AgentAttributes> {
  const start = await now();
  const { computeEngine, email } = await verifyIdentityToken(payload, (id) => keys.find(id, start), start);
  const { project_id, zone, instance_id, instance_name } = computeEngine;
  if (!config.projectid_allow_list.includes(project_id)) {
    throw new SpiffeError('ATTESTATION_DENIED', `the project "${project_id}" is not in "projectid_allow_list"`);
  }
  const spiffeId = config.agent_path_template.agentId(trustDomain, {
    PluginName: 'gcp_iit',
    ProjectID: project_id,
    InstanceID: instance_id,
    ProjectNumber: computeEngine.project_number,
    Zone: zone,
    InstanceName: instance_name,
    InstanceCreationTimestamp: computeEngine.instance_creation_timestamp,
    ServiceAccount: email.replaceAll('@', '_'),
  });
  await requireFirstUse(spiffeId);
  const instance =
    credentials === undefined ? undefined : await fetchInstance(computeEngine, config.compute_url, credentials, signal);
  return {
    spiffeId,
    selectorValues: [
      `project-id:${project_id}`,
      `zone:${zone}`,
      `instance-name:${instance_name}`,
      `sa:${email}`,
      ...(instance === undefined ? [] : selectorsOf(instance, config)),
    ],
    canReattest: false,
  };
}

function selectorsOf({ tags, labels, metadata }: Instance, config: GcpServerConfig): readonly string[] {
  const allowed = metadata.items.filter(({ key }) => config.allowed_metadata_keys.includes(key));
  for (const { key, value } of allowed) {
    const bytes = Buffer.byteLength(value);
    if (bytes <= config.max_metadata_value_size) continue;
    throw new SpiffeError(
      'ATTESTATION_DENIED',
      `the metadata "${key}" has ${bytes} bytes, over the ${config.max_metadata_value_size} of "max_metadata_value_size"`,
    );
  }
  return [
    ...tags.items.map((tag) => `tag:${tag}`),
    ...Object.entries(labels)
      .filter(([key]) => config.allowed_label_keys.includes(key))
      .map(([key, value]) => `label:${key}:${value}`),
    ...allowed.map(({ key, value }) => `metadata:${key}:${value}`),
  ];
}
