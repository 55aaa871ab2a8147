import { defineServerNodeAttestor } from '../../plugin-sdk/index.ts';
import { attestHost, type SshAttestorState } from './attest.ts';
import { readAuthorities } from './authorities.ts';
import { sshServerConfig } from './server-config.ts';

/** Admits hosts that have the key of an SSH host certificate. */
export const sshpopServerNodeAttestor = defineServerNodeAttestor({
  name: 'sshpop',
  config: sshServerConfig,
  configure: async (config): Promise<SshAttestorState> => ({
    config,
    trust: { authorities: await readAuthorities(config), canonicalDomain: config.canonical_domain },
  }),
  attest: attestHost,
});
