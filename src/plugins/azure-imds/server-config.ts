import { agentPathTemplate, optionalText, textList, z } from '../../plugin-sdk/index.ts';
import { apiUrl } from '../cloud/api-url.ts';
import { domainName, metadataEndpoint } from './fields.ts';

const appId = z.string({ error: 'must be the ID of an application' }).min(1, { error: 'must not be empty' });
const domains = z.array(domainName);

const tenant = z
  .strictObject({
    secret_auth: z
      .strictObject({ app_id: appId, app_secret: z.string().min(1, { error: 'must not be empty' }) })
      .optional(),
    token_auth: z
      .strictObject({ app_id: appId, token_path: z.string().min(1, { error: 'must be the path of a token' }) })
      .optional(),
    restrict_to_subscriptions: z
      .array(z.string().trim().min(1, { error: 'must be the ID of a subscription' }))
      .default([]),
    allowed_vm_tags: textList,
  })
  .refine(({ secret_auth: secret, token_auth: token }) => secret === undefined || token === undefined, {
    error: 'has both "secret_auth" and "token_auth": keep one of them',
  });
export type TenantConfig = z.output<typeof tenant>;

/** `plugin_data` of the server's `azure_imds` node attestor: docs/plugins/azure-imds.md. */
export const azureServerConfig = z.strictObject({
  tenants: z
    .record(domainName, tenant)
    .refine((all) => Object.keys(all).length > 0, { error: 'must name a tenant: without one, no machine is admitted' }),
  agent_path_template: agentPathTemplate('/{{ .PluginName }}/{{ .TenantID }}/{{ .SubscriptionID }}/{{ .VMID }}', {
    fields: ['PluginName', 'TenantID', 'SubscriptionID', 'VMID'],
  }),
  allowed_metadata_domains: domains
    .default([])
    .transform((names) => (names.length === 0 ? ['metadata.azure.com'] : names.map((name) => name.toLowerCase()))),
  trust_bundle_path: optionalText,
  /** Hosts that are asked for the authority above a certificate; not SPIRE's. */
  ca_issuer_hosts: z.array(z.string().regex(/^[\w.[\]:-]+$/)).default(['www.microsoft.com']),
  /** Not SPIRE's, like the following: of a cloud other than Azure's public one. */
  login_url: apiUrl.prefault('https://login.microsoftonline.com'),
  management_url: apiUrl.prefault('https://management.azure.com'),
  /** Of the machine that the server runs on. */
  metadata_endpoint: metadataEndpoint,
});
export type AzureServerConfig = z.output<typeof azureServerConfig>;
