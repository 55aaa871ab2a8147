import { defineServerNodeAttestor, requireFirstUse } from '../../plugin-sdk/index.ts';
import { allowedAddresses } from './allowed-addresses.ts';
import { attestHost, type HttpAttestorState } from './attest.ts';
import { httpServerConfig } from './server-config.ts';

/** Admits hosts that serve, under the name that they have, what this server gave them. */
export const httpChallengeServerNodeAttestor = defineServerNodeAttestor({
  name: 'http_challenge',
  config: httpServerConfig,
  configure: (config): HttpAttestorState => ({ config, allowed: allowedAddresses(config.allowed_networks) }),
  attest: (payload, state, context) =>
    attestHost(payload, state, {
      trustDomain: context.trustDomain,
      randomBytes: context.randomBytes,
      signal: context.signal,
      requireFirstUse: (agentId) => requireFirstUse(agentId, context),
    }),
});
