import { ExplainDefinition } from '../../gen/assayer/server/explain/v1/explain.ts';
import { ReattestationDefinition } from '../../gen/assayer/server/reattest/v1/reattest.ts';
import { WatchDefinition } from '../../gen/assayer/server/watch/v1/watch.ts';
import { AgentDefinition } from '../../gen/spire/api/server/agent/v1/agent.ts';
import { BundleDefinition } from '../../gen/spire/api/server/bundle/v1/bundle.ts';
import { EntryDefinition } from '../../gen/spire/api/server/entry/v1/entry.ts';
import { SVIDDefinition } from '../../gen/spire/api/server/svid/v1/svid.ts';
import type { CallTracer } from '../../rpc/call-tracer.ts';
import { type Client, createClient } from '../../rpc/client.ts';
import {
  type ServerConnectionOptions as CommonOptions,
  SpireServerConnection,
} from '../../rpc/spire-server-connection.ts';

export { CALL_DEADLINE_MS } from '../../rpc/spire-server-connection.ts';

export interface ServerConnectionOptions extends CommonOptions {
  readonly tracer?: CallTracer;
}

/** SPIRE's server API as far as agents use it, and what only our server has. */
export interface ServerClients {
  readonly agent: Client<typeof AgentDefinition>;
  readonly bundle: Client<typeof BundleDefinition>;
  readonly explain: Client<typeof ExplainDefinition>;
  readonly entry: Client<typeof EntryDefinition>;
  readonly svid: Client<typeof SVIDDefinition>;
  readonly reattestation: Client<typeof ReattestationDefinition>;
  readonly watch: Client<typeof WatchDefinition>;
}

/** An agent's way to its server. */
export class ServerConnection extends SpireServerConnection<ServerClients> {
  constructor({ tracer, ...options }: ServerConnectionOptions) {
    super(options, (channel) => ({
      agent: createClient(AgentDefinition, channel, undefined, tracer),
      bundle: createClient(BundleDefinition, channel, undefined, tracer),
      explain: createClient(ExplainDefinition, channel, undefined, tracer),
      entry: createClient(EntryDefinition, channel, undefined, tracer),
      svid: createClient(SVIDDefinition, channel, undefined, tracer),
      reattestation: createClient(ReattestationDefinition, channel),
      watch: createClient(WatchDefinition, channel),
    }));
  }
}
