import { randomBytes } from 'node:crypto';
import { defineAgentNodeAttestor } from '../../plugin-sdk/index.ts';
import { sshAgentConfig } from './agent-config.ts';
import { readHostKey } from './host-key.ts';
import { decodeChallenge, encodePayload, encodeResponse, NONCE_BYTES } from './messages.ts';
import { bothNonces } from './nonces.ts';
import { signWith } from './ssh-signature.ts';

/** The half beside the host key. Its files are read for each attestation: what renews the certificate replaces it. */
export const sshpopAgentNodeAttestor = defineAgentNodeAttestor({
  name: 'sshpop',
  config: sshAgentConfig,
  async configure(config) {
    await readHostKey(config); // mistakes are told when the agent starts
    return config;
  },
  async *aidAttestation(config) {
    const { key, certificate } = await readHostKey(config);
    const challenge = decodeChallenge(yield encodePayload(certificate.blob));
    const nonce = randomBytes(NONCE_BYTES);
    yield encodeResponse({ nonce, signature: signWith(key, certificate.type, bothNonces(challenge, nonce)) });
  },
});
