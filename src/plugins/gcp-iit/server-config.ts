import { agentPathTemplate, flag, optionalText, orUnset, textList, wholeNumber, z } from '../../plugin-sdk/index.ts';
import { apiUrl } from '../cloud/api-url.ts';
import { metadataHost } from './agent-config.ts';

const DEFAULT_MAX_VALUE_BYTES = 128;

/** `plugin_data` of the server's `gcp_iit` node attestor: docs/plugins/gcp-iit.md. */
export const gcpServerConfig = z.strictObject({
  projectid_allow_list: z
    .array(z.string().min(1, { error: 'must not be empty' }), { error: 'must be the list of projects to admit' })
    .min(1, { error: 'must name the projects to admit: without one, no node would be' }),
  agent_path_template: agentPathTemplate('/{{ .PluginName }}/{{ .ProjectID }}/{{ .InstanceID }}', {
    fields: [
      ...['PluginName', 'ProjectID', 'InstanceID', 'ProjectNumber', 'Zone', 'InstanceName'],
      ...['InstanceCreationTimestamp', 'ServiceAccount'],
    ],
  }),
  use_instance_metadata: flag,
  service_account_file: optionalText,
  allowed_label_keys: textList,
  allowed_metadata_keys: textList,
  /** 0 is the default, as it is SPIRE's. */
  max_metadata_value_size: wholeNumber.default(0).transform((bytes) => (bytes === 0 ? DEFAULT_MAX_VALUE_BYTES : bytes)),
  /** Where Google's certificates are; not SPIRE's. */
  certificates_url: apiUrl.prefault('https://www.googleapis.com/oauth2/v1/certs'),
  /** The Compute Engine API; not SPIRE's. */
  compute_url: apiUrl.prefault('https://compute.googleapis.com'),
  /** Whom to ask for credentials where no file has them; not SPIRE's. */
  metadata_host: orUnset(metadataHost),
});
export type GcpServerConfig = z.output<typeof gcpServerConfig>;
