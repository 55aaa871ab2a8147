import { defineServerNodeAttestor } from '../../plugin-sdk/index.ts';
import { attestTpm, type TpmAttestorState } from './attest.ts';
import { ClockMemory } from './clock-memory.ts';
import { tpmServerConfig } from './config.ts';
import { readTrustStore } from './trust-store.ts';

/** Outlives a configuration: a TPM that went back is no better for a changed setting. */
const clocks = new ClockMemory();

/** Admits nodes by their TPM. No TPM is needed on this side. */
export const tpmServerNodeAttestor = defineServerNodeAttestor({
  name: 'tpm',
  config: tpmServerConfig,
  configure: async (config): Promise<TpmAttestorState> => ({ config, trust: await readTrustStore(config), clocks }),
  attest: (payload, state, { trustDomain, csrPublicKey, log, now, randomBytes }) =>
    attestTpm(payload, state, {
      trustDomain,
      now,
      randomBytes,
      onProof: (message, facts) => log.info(message, facts),
      ...(csrPublicKey === undefined ? {} : { csrPublicKey }),
    }),
});
