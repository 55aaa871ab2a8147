import { hostname as hostnameOfSystem } from 'node:os';
import { optionalPort, orUnset, z } from '../../plugin-sdk/index.ts';

/** `plugin_data` of the agent's `http_challenge` node attestor: docs/plugins/http-challenge.md. */
export const httpAgentConfig = z
  .strictObject({
    hostname: orUnset(z.string()),
    agentname: orUnset(
      z.string().regex(/^[a-zA-Z][a-zA-Z0-9-]{0,31}$/, {
        error: 'must be a letter, then letters, digits and "-", 32 characters at most',
      }),
    ),
    /** Any that is free where absent. */
    port: optionalPort,
    /** The port that the server connects to, where something forwards it. */
    advertised_port: optionalPort,
  })
  .transform(({ hostname, agentname, port, advertised_port }) => ({
    hostname: hostname ?? hostnameOfSystem(),
    agentname: agentname ?? 'default',
    port,
    advertised_port,
  }));
export type HttpAgentConfig = z.output<typeof httpAgentConfig>;
