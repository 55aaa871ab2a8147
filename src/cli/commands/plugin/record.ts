import { isIP } from 'node:net';
import { recordAttestation, requireWritable, writeTranscript } from '../../../authoring/transcript/index.ts';
import { SpiffeError } from '../../../spiffe/error.ts';
import { parseTrustDomain } from '../../../spiffe/trust-domain.ts';
import { defineCommand } from '../../command.ts';
import { text, texts } from '../../flag-kinds.ts';
import { formatRecording } from '../../format-replay.ts';

export const pluginRecord = defineCommand({
  summary: 'Let the halves of a node attestor attest to each other, and write down what passes between them',
  flags: {
    agent: text('Executable of the agent half', 'COMMAND'),
    agentArg: texts('Argument of the agent half', 'ARGUMENT'),
    agentConfig: text("File with what the agent half's plugin_data would have", 'FILE'),
    server: text('Executable of the server half', 'COMMAND'),
    serverArg: texts('Argument of the server half', 'ARGUMENT'),
    serverConfig: text("File with what the server half's plugin_data would have; it goes into the transcript", 'FILE'),
    trustDomain: text('Trust domain that both are configured for', 'NAME', 'example.org'),
    clientAddress: text("The node's IP address, as the server half is told", 'ADDRESS'),
    out: text('Transcript to write, with mode 0600', 'FILE'),
  },
  run: async (flags, terminal) => {
    const { agent, agentArg, agentConfig, server, serverArg, serverConfig, clientAddress, out } = flags;
    for (const [name, value] of Object.entries({ agent, server, out })) {
      if (value === '') throw new SpiffeError('ARGUMENT_INVALID', `-${name} is needed`);
    }
    if (clientAddress !== '' && isIP(clientAddress) === 0) {
      throw new SpiffeError('ARGUMENT_INVALID', `-clientAddress: ${JSON.stringify(clientAddress)} is no IP address`);
    }
    const trustDomain = parseTrustDomain(flags.trustDomain);
    await requireWritable(out);
    // Ending in this way takes the plugins and their sockets along.
    process.once('SIGINT', () => process.exit(130));
    process.once('SIGTERM', () => process.exit(143));
    const transcript = await recordAttestation({
      agent: { command: agent, args: agentArg, configFile: agentConfig === '' ? undefined : agentConfig },
      server: { command: server, args: serverArg, configFile: serverConfig === '' ? undefined : serverConfig },
      trustDomain,
      clientAddress,
    });
    await writeTranscript(out, transcript);
    terminal.print(formatRecording(out, transcript));
  },
});
