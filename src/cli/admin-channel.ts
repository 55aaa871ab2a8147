import type { Client } from '../rpc/client.ts';
import type { ServiceDefinition } from '../rpc/definition.ts';
import type { Command } from './command.ts';
import type { Flags, FlagValues } from './flags.ts';
import { formatProtoJson, outputFlag } from './output.ts';
import {
  AGENT_ADMIN_SOCKET,
  explainCallError,
  resolveSocketPath,
  SERVER_SOCKET,
  type SocketNaming,
  socketFlags,
} from './socket-path.ts';
import type { Terminal } from './terminal.ts';

/** What a command on the admin socket of a server or an agent works with. */
export interface AdminContext {
  readonly terminal: Terminal;
  client<Definition extends ServiceDefinition>(definition: Definition): Client<Definition>;
  /** Prints an answer of the program as JSON where that was asked for, by `pretty` otherwise. */
  show(answer: object, pretty: () => void): void;
  /** True for `-output json`. */
  readonly isJson: boolean;
}

export interface AdminCommand<F extends Flags> {
  readonly summary: string;
  readonly flags: F;
  /** What follows the command, before or behind its flags; absent, nothing may. */
  readonly operands?: string;
  run(values: FlagValues<F>, context: AdminContext, operands: readonly string[]): Promise<void>;
}

/** A command that asks a running server, with the flags that name its socket and `-output`. */
export function adminCommand<F extends Flags>(command: AdminCommand<F>): Command {
  return socketCommand(SERVER_SOCKET, command);
}

/** The same for an agent that has an admin socket. */
export function agentAdminCommand<F extends Flags>(command: AdminCommand<F>): Command {
  return socketCommand(AGENT_ADMIN_SOCKET, command);
}

function socketCommand<F extends Flags>(
  naming: SocketNaming,
  { summary, flags, operands, run }: AdminCommand<F>,
): Command {
  const adminFlags = { ...socketFlags(naming), output: outputFlag };
  const hasFormat = !('output' in flags); // a flag of the command's own says something else
  return {
    summary,
    flags: { ...adminFlags, ...flags },
    ...(operands === undefined ? {} : { operands, flagsFollow: true }),
    run: async (
      values: FlagValues<F> & FlagValues<typeof adminFlags>,
      terminal: Terminal,
      given: readonly string[],
    ) => {
      const path = resolveSocketPath(naming, values, terminal.env);
      const [{ RpcChannel }, { createClient }] = await Promise.all([
        import('../rpc/channel.ts'),
        import('../rpc/client.ts'),
      ]);
      using channel = RpcChannel.unix(path, { maxMessageBytes: -1 });
      const isJson = hasFormat && values.output === 'json';
      const show = (answer: object, pretty: () => void) =>
        isJson ? terminal.print(formatProtoJson(answer)) : pretty();
      try {
        const client: AdminContext['client'] = (definition) => createClient(definition, channel);
        await run(values, { terminal, client, show, isJson }, given);
      } catch (error) {
        throw await explainCallError(error, path, naming);
      }
    },
  };
}
