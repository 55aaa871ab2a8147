import { orUnset, z } from '../../plugin-sdk/index.ts';

/** SPIRE has the same. */
export const DEFAULT_PATHS = {
  key: '/etc/ssh/ssh_host_rsa_key',
  certificate: '/etc/ssh/ssh_host_rsa_key-cert.pub',
} as const;

/** `plugin_data` of the agent's `sshpop` node attestor: docs/plugins/sshpop.md. */
export const sshAgentConfig = z.strictObject({
  host_key_path: orUnset(z.string()).transform((path) => path ?? DEFAULT_PATHS.key),
  host_cert_path: orUnset(z.string()).transform((path) => path ?? DEFAULT_PATHS.certificate),
});
export type SshAgentConfig = z.output<typeof sshAgentConfig>;
