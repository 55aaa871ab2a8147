import { defineAgentNodeAttestor } from '../../plugin-sdk/index.ts';
import { devidAgentConfig } from './agent-config.ts';
import { readDevidFiles } from './devid-files.ts';
import { findTcti } from './find-tpm.ts';
import { aidDevidAttestation, type DevidProverState } from './prove.ts';

/** The half of the attestor that runs beside the TPM. */
export const devidAgentNodeAttestor = defineAgentNodeAttestor({
  name: 'tpm_devid',
  config: devidAgentConfig,
  configure: async (config): Promise<DevidProverState> => ({
    config,
    tcti: findTcti(config),
    files: await readDevidFiles(config),
  }),
  aidAttestation(state, { csrPublicKey, signal, log }) {
    const { notAfter } = state.files.certificate;
    if (notAfter.getTime() < Date.now()) {
      log.warning(
        'the DevID certificate has expired, a server will refuse it: have a new one issued for the same key',
        {
          expired_at: notAfter.toISOString(),
        },
      );
    }
    return aidDevidAttestation(state, csrPublicKey, signal);
  },
});
