import { SpiffeWorkloadAPIDefinition } from '../gen/workload/workload.ts';
import { RpcChannel } from '../rpc/channel.ts';
import { type CallOptions, type Client, createClient } from '../rpc/client.ts';
import { RemoteError } from '../rpc/status.ts';
import { WORKLOAD_METADATA } from '../rpc/workload-metadata.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { Status } from '../spiffe/status.ts';
import type { Command } from './command.ts';
import { timeoutMs } from './flag-kinds.ts';
import type { Flags, FlagValues } from './flags.ts';
import { AGENT_SOCKET, explainCallError, resolveSocketPath, socketFlags } from './socket-path.ts';
import type { Terminal } from './terminal.ts';

export interface WorkloadContext {
  readonly terminal: Terminal;
  readonly api: Client<typeof SpiffeWorkloadAPIDefinition>;
  /** For every call: the header that the Workload API asks for, and the time that `-timeout` gives. */
  readonly callOptions: CallOptions;
}

export interface WorkloadCommand<F extends Flags> {
  readonly summary: string;
  readonly flags: F;
  run(values: FlagValues<F>, context: WorkloadContext): Promise<void>;
}

const DEFAULT_TIMEOUT_MS = 5_000;

const workloadFlags = {
  ...socketFlags(AGENT_SOCKET),
  timeout: timeoutMs('How long to wait for an answer; 0s for ever', DEFAULT_TIMEOUT_MS),
};

/** A command that asks an agent as a workload does. */
export function workloadCommand<F extends Flags>({ summary, flags, run }: WorkloadCommand<F>): Command {
  return {
    summary,
    flags: { ...flags, ...workloadFlags },
    run: async (values: FlagValues<F> & FlagValues<typeof workloadFlags>, terminal: Terminal) => {
      const path = resolveSocketPath(AGENT_SOCKET, values, terminal.env);
      using channel = RpcChannel.unix(path, { maxMessageBytes: -1 });
      const api = createClient(SpiffeWorkloadAPIDefinition, channel);
      const deadline = values.timeout === 0 ? {} : { deadlineMs: values.timeout };
      try {
        await run(values, { terminal, api, callOptions: { metadata: WORKLOAD_METADATA, ...deadline } });
      } catch (error) {
        throw explainRefusal(await explainCallError(error, path, AGENT_SOCKET));
      }
    },
  };
}

/** The Workload API says no more to a workload than that it has no identity; the person at the keyboard may ask. */
export function explainRefusal(error: unknown): unknown {
  if (!(error instanceof RemoteError) || error.status !== Status.PermissionDenied) return error;
  const message = `${error.message}: "assayer agent why" tells what is missing`;
  return new SpiffeError('NO_IDENTITY', message, { cause: error });
}
