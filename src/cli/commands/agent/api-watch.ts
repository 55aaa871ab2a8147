import { setTimeout as pause } from 'node:timers/promises';
import { SpiffeWorkloadAPIDefinition } from '../../../gen/workload/workload.ts';
import { RpcChannel } from '../../../rpc/channel.ts';
import { type Client, createClient } from '../../../rpc/client.ts';
import { RemoteError } from '../../../rpc/status.ts';
import { WORKLOAD_METADATA } from '../../../rpc/workload-metadata.ts';
import { isSpiffeError, messageOf } from '../../../spiffe/error.ts';
import { Status } from '../../../spiffe/status.ts';
import { parseWorkloadSvids } from '../../../spiffe/workload-svid.ts';
import { defineCommand } from '../../command.ts';
import { formatWorkloadSvids } from '../../format-workload-svids.ts';
import { AGENT_SOCKET, explainCallError, resolveSocketPath, socketFlags } from '../../socket-path.ts';
import type { Terminal } from '../../terminal.ts';
import { explainRefusal } from '../../workload-channel.ts';

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;

export const apiWatch = defineCommand({
  summary: 'Print X509-SVIDs of the Workload API as they change, until SIGINT or SIGTERM',
  flags: socketFlags(AGENT_SOCKET),
  run: async (values, terminal) => {
    const path = resolveSocketPath(AGENT_SOCKET, values, terminal.env);
    const stop = new AbortController();
    process.once('SIGINT', () => stop.abort());
    process.once('SIGTERM', () => stop.abort());
    using channel = RpcChannel.unix(path, { maxMessageBytes: -1 });
    const api = createClient(SpiffeWorkloadAPIDefinition, channel);
    let pauseMs = FIRST_PAUSE_MS;
    while (!stop.signal.aborted) {
      try {
        for await (const text of watch(api, stop.signal)) {
          terminal.print(text);
          pauseMs = FIRST_PAUSE_MS;
        }
      } catch (error) {
        if (stop.signal.aborted) return;
        await report(error, path, terminal);
      }
      await pause(pauseMs, undefined, { signal: stop.signal }).catch(() => undefined);
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    }
  },
});

async function* watch(api: Client<typeof SpiffeWorkloadAPIDefinition>, signal: AbortSignal): AsyncGenerator<string> {
  let since = performance.now();
  for await (const answer of api.fetchX509SVID({}, { metadata: WORKLOAD_METADATA, signal })) {
    const now = performance.now();
    yield formatWorkloadSvids(parseWorkloadSvids(answer), now - since);
    since = now;
  }
}

/** Goes on after what may pass. @throws what the agent will answer again, whatever happens */
async function report(error: unknown, path: string, terminal: Terminal): Promise<void> {
  if (error instanceof RemoteError && error.status === Status.InvalidArgument) throw error;
  if (!(error instanceof RemoteError) && !isSpiffeError(error)) throw error;
  const explained = explainRefusal(await explainCallError(error, path, AGENT_SOCKET));
  terminal.printError(`${messageOf(explained)}\n`);
}
