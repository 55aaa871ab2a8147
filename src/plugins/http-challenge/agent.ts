import { defineAgentNodeAttestor } from '../../plugin-sdk/index.ts';
import { httpAgentConfig } from './agent-config.ts';
import { ChallengePage } from './challenge-page.ts';
import { challengePath, decodeChallenge, encodeAnswer, encodePayload } from './messages.ts';

/** The half that serves the challenge, until the host has its answer. */
export const httpChallengeAgentNodeAttestor = defineAgentNodeAttestor({
  name: 'http_challenge',
  config: httpAgentConfig,
  configure: (config) => config,
  async *aidAttestation({ hostname, agentname, port, advertised_port }) {
    await using page = await ChallengePage.open(challengePath(agentname), port);
    const nonce = decodeChallenge(yield encodePayload({ hostname, agentname, port: advertised_port ?? page.port }));
    page.show(nonce);
    yield encodeAnswer(nonce);
  },
});
