import { z } from '../../plugin-sdk/index.ts';
import { domainName, metadataEndpoint } from './fields.ts';

/** `plugin_data` of the agent's `azure_imds` node attestor: docs/plugins/azure-imds.md. */
export const azureAgentConfig = z.strictObject({
  tenant_domain: domainName,
  /** For tests and proxies; not SPIRE's. */
  metadata_endpoint: metadataEndpoint,
});
export type AzureAgentConfig = z.output<typeof azureAgentConfig>;
