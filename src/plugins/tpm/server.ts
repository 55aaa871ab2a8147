import { defineServerNodeAttestor } from '../../plugin-sdk/index.ts';
import { readEkTrustStore } from '../../tpm-trust/ek-trust-store.ts';
import { attestTpm, type TpmAttestorState } from './attest.ts';
import { tpmServerConfig } from './config.ts';
import { EkMemory } from './ek-memory.ts';
import { readPolicies } from './policies.ts';
import { Slots } from './slots.ts';

/** Each may hold an event log and an IMA log: 33 MiB, and what is read of them. */
const RECEIVING_AT_ONCE = 4;

/** Outlives a configuration: a TPM that went back is no better for a changed setting. */
const processMemory = new EkMemory();
const slots = new Slots(RECEIVING_AT_ONCE);

/** Admits nodes by their TPM. No TPM is needed on this side. */
export const tpmServerNodeAttestor = defineServerNodeAttestor({
  name: 'tpm',
  config: tpmServerConfig,
  configure: async (config): Promise<TpmAttestorState> => ({
    config,
    trust: await readEkTrustStore(config),
    memory: config.state_path === undefined ? processMemory : await EkMemory.openFolder(config.state_path),
    policies: await readPolicies(config),
    slots,
  }),
  attest: (payload, state, { trustDomain, csrPublicKey, log, signal, now, randomBytes }) =>
    attestTpm(payload, state, {
      trustDomain,
      signal,
      now,
      randomBytes,
      onProof: (message, facts) => log.info(message, facts),
      ...(csrPublicKey === undefined ? {} : { csrPublicKey }),
    }),
});
