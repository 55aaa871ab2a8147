import { defineServerNodeAttestor } from '../../plugin-sdk/index.ts';
import { attestDevid, type DevidAttestorState } from './attest.ts';
import { devidServerConfig } from './server-config.ts';
import { readDevidTrustStore } from './trust-store.ts';

/** Admits nodes whose TPM holds the key of a DevID certificate. No TPM is needed on this side. */
export const devidServerNodeAttestor = defineServerNodeAttestor({
  name: 'tpm_devid',
  config: devidServerConfig,
  configure: async (config): Promise<DevidAttestorState> => ({ config, trust: await readDevidTrustStore(config) }),
  attest: (payload, state, { trustDomain, csrPublicKey, log, now, randomBytes }) =>
    attestDevid(payload, state, {
      trustDomain,
      now,
      randomBytes,
      onProof: (message, facts) => log.info(message, facts),
      ...(csrPublicKey === undefined ? {} : { csrPublicKey }),
    }),
});
