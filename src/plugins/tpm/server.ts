import { defineServerNodeAttestor } from '../../plugin-sdk/index.ts';
import { readEkTrustStore } from '../../tpm-trust/ek-trust-store.ts';
import { attestTpm, type TpmAttestorState } from './attest.ts';
import { ClockMemory } from './clock-memory.ts';
import { tpmServerConfig } from './config.ts';
import { Slots } from './slots.ts';

/** Each may hold an event log and an IMA log: 33 MiB, and what is read of them. */
const RECEIVING_AT_ONCE = 4;

/** Outlives a configuration: a TPM that went back is no better for a changed setting. */
const clocks = new ClockMemory();
const slots = new Slots(RECEIVING_AT_ONCE);

/** Admits nodes by their TPM. No TPM is needed on this side. */
export const tpmServerNodeAttestor = defineServerNodeAttestor({
  name: 'tpm',
  config: tpmServerConfig,
  configure: async (config): Promise<TpmAttestorState> => ({
    config,
    trust: await readEkTrustStore(config),
    clocks,
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
