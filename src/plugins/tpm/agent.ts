import { defineAgentNodeAttestor } from '../../plugin-sdk/index.ts';
import { ekHash } from '../../tpm-device/endorsement.ts';
import { tpmAgentConfig } from './agent-config.ts';
import { aidTpmAttestation } from './prove.ts';

/** The half of the attestor that runs beside the TPM. */
export const tpmAgentNodeAttestor = defineAgentNodeAttestor({
  name: 'tpm',
  config: tpmAgentConfig,
  configure: (config) => config,
  aidAttestation: (config, { csrPublicKey, signal, log }) =>
    aidTpmAttestation(config, csrPublicKey ?? new Uint8Array(0), {
      signal,
      onKeys({ ek }) {
        if (ek.certificates.length > 0) return;
        log.warning('the TPM has no certificate for its endorsement key, so a server knows it only by its hash', {
          ek_hash: ekHash(ek),
          ek_template: ek.template.name,
        });
      },
    }),
});
