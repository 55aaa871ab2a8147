import { orUnset, z } from '../../plugin-sdk/index.ts';

/** Source: Google Cloud, "Verify the identity of VMs". */
export const DEFAULT_METADATA_HOST = 'metadata.google.internal';

/** `host` or `host:port`. */
export const metadataHost = z.string().refine(isHost, {
  error: 'must be a host, with a port where it is not 80, such as "metadata.google.internal"',
});

function isHost(text: string): boolean {
  if (!/^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?$/.test(text)) return false;
  return URL.canParse(`http://${text}/`);
}

/** `plugin_data` of the agent's `gcp_iit` node attestor: docs/plugins/gcp-iit.md. */
export const gcpAgentConfig = z.strictObject({
  identity_token_host: orUnset(metadataHost),
  service_account: orUnset(
    z.string().regex(/^[\w.+@:-]{1,256}$/, { error: 'must be "default" or the e-mail address of a service account' }),
  ),
});
export type GcpAgentConfig = z.output<typeof gcpAgentConfig>;
