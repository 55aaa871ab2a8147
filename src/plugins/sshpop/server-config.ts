import { agentPathTemplate, onEveryBlock, optionalText, z } from '../../plugin-sdk/index.ts';
import { TEMPLATE_FIELDS } from './attest.ts';

/** `plugin_data` of the server's `sshpop` node attestor: docs/plugins/sshpop.md. */
export const sshServerConfig = z
  .strictObject({
    /** Lines as of `authorized_keys`. */
    cert_authorities: z.array(z.string()).default([]),
    cert_authorities_path: optionalText,
    canonical_domain: optionalText,
    agent_path_template: agentPathTemplate('/{{ .PluginName }}/{{ .Fingerprint }}', { fields: TEMPLATE_FIELDS }),
  })
  .refine(({ cert_authorities, cert_authorities_path }) => cert_authorities.length > 0 || cert_authorities_path, {
    ...onEveryBlock,
    error: 'needs "cert_authorities", "cert_authorities_path" or both: without one, no host would be trusted',
  });
export type SshServerConfig = z.output<typeof sshServerConfig>;
