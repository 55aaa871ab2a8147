import { findLastWords } from '../../../files/last-words.ts';
import { WhyDefinition } from '../../../gen/assayer/agent/why/v1/why.ts';
import { RemoteError } from '../../../rpc/status.ts';
import { isSpiffeError, SpiffeError } from '../../../spiffe/error.ts';
import { Status } from '../../../spiffe/status.ts';
import { defineCommand } from '../../command.ts';
import { text, timeoutMs, wholeNumber } from '../../flag-kinds.ts';
import { formatProtoJson, formatTime, outputFlag } from '../../output.ts';
import { formatWhy } from '../../print-why.ts';
import { AGENT_SOCKET, explainCallError, resolveSocketPath, socketFlags } from '../../socket-path.ts';

/** Attestors have half a minute. */
const DEFAULT_TIMEOUT_MS = 40_000;

export const agentWhy = defineCommand({
  summary: 'Explain why a process gets an identity, or gets none',
  flags: {
    pid: wholeNumber('The process, by the number that the node has for it; 0: this one', 'N'),
    spiffeID: text('What it was to get', 'ID'),
    ...socketFlags(AGENT_SOCKET),
    timeout: timeoutMs('How long to wait for an answer; 0s for ever', DEFAULT_TIMEOUT_MS),
    output: outputFlag,
  },
  run: async (values, terminal) => {
    const path = resolveSocketPath(AGENT_SOCKET, values, terminal.env);
    const [{ RpcChannel }, { createClient }] = await Promise.all([
      import('../../../rpc/channel.ts'),
      import('../../../rpc/client.ts'),
    ]);
    using channel = RpcChannel.unix(path, { maxMessageBytes: -1 });
    const client = createClient(WhyDefinition, channel);
    const deadline = values.timeout === 0 ? {} : { deadlineMs: values.timeout };
    try {
      const answer = await client.explainWorkload({ pid: values.pid, spiffeId: values.spiffeID }, deadline);
      terminal.print(values.output === 'json' ? formatProtoJson(answer) : formatWhy(answer, new Date()));
    } catch (error) {
      throw await withLastWords(await explainCallError(error, path, AGENT_SOCKET), path);
    }
  },
});

/** Of an agent that has ended by itself, what it ended with is the answer. */
async function withLastWords(error: unknown, path: string): Promise<unknown> {
  if (error instanceof RemoteError && error.status === Status.Unimplemented) {
    const message = `the agent at ${path} does not answer such questions: it is SPIRE's, or older than this command`;
    return new SpiffeError('UNIMPLEMENTED', message, { cause: error });
  }
  if (!isSpiffeError(error, 'SERVER_UNREACHABLE')) return error;
  const words = await findLastWords(path);
  if (words === undefined) return error;
  const message = `the agent that served ${path} ended by itself at ${formatTime(words.at)}: ${words.reason}`;
  return new SpiffeError('SERVER_UNREACHABLE', message, { cause: error });
}
