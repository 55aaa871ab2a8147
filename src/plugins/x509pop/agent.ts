import { randomBytes } from 'node:crypto';
import { defineAgentNodeAttestor } from '../../plugin-sdk/index.ts';
import { popAgentConfig } from './agent-config.ts';
import { loadKeyAndCertificates, readKeyAndCertificates } from './key-and-certificates.ts';
import { decodeChallenge, encodePayload, encodeResponse, NONCE_BYTES } from './messages.ts';
import { proofKindOf, provePossession } from './possession.ts';

/** The half beside the key. */
export const popAgentNodeAttestor = defineAgentNodeAttestor({
  name: 'x509pop',
  config: popAgentConfig,
  async configure(config) {
    if (config.kind === 'files') await readKeyAndCertificates(config); // mistakes are told when the agent starts
    return config;
  },
  async *aidAttestation(config, { signal }) {
    const { key, certificates } = await loadKeyAndCertificates(config, signal);
    const challenge = decodeChallenge(yield encodePayload(certificates), proofKindOf(key));
    yield encodeResponse(provePossession(key, challenge.nonce, randomBytes(NONCE_BYTES)));
  },
});
