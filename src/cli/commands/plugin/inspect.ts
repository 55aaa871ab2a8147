import { type Inspection, inspectPlugin } from '../../../authoring/inspect/index.ts';
import { SpiffeError } from '../../../spiffe/error.ts';
import { parseTrustDomain } from '../../../spiffe/trust-domain.ts';
import { defineCommand } from '../../command.ts';
import { text, timeoutMs } from '../../flag-kinds.ts';
import { formatInspection } from '../../format-inspection.ts';
import { formatCount, formatProtoJson, outputFlag } from '../../output.ts';

const HANDSHAKE_MS = 60_000;

export const pluginInspect = defineCommand({
  summary: 'Start a plugin as a host does, and tell what it is and what is wrong with it',
  flags: {
    output: outputFlag,
    config: text('File with what plugin_data would have; without it the plugin is not configured', 'FILE'),
    trustDomain: text('Trust domain that the plugin is configured for', 'NAME', 'example.org'),
    side: text('Program that the plugin is for, server or agent; either one without it', 'SIDE'),
    timeout: timeoutMs('How long to wait for the handshake', HANDSHAKE_MS),
  },
  operands: 'COMMAND [ARGUMENT…]',
  run: async ({ output, config, trustDomain, side, timeout }, terminal, [command, ...args]) => {
    if (command === undefined) {
      throw new SpiffeError('ARGUMENT_INVALID', "give the path of the plugin's executable behind the flags");
    }
    if (side !== '' && side !== 'server' && side !== 'agent') {
      throw new SpiffeError('ARGUMENT_INVALID', `-side: ${JSON.stringify(side)} is neither server nor agent`);
    }
    // Ending in this way takes the plugin and its sockets along.
    process.once('SIGINT', () => process.exit(130));
    process.once('SIGTERM', () => process.exit(143));
    const inspection: Inspection = await inspectPlugin({
      command,
      args,
      trustDomain: parseTrustDomain(trustDomain),
      configFile: config === '' ? undefined : config,
      side: side === '' ? undefined : side,
      handshakeDeadlineMs: timeout === 0 ? HANDSHAKE_MS : timeout,
    });
    terminal.print(output === 'json' ? formatProtoJson(inspection) : formatInspection(inspection));
    const { problems, loadable } = inspection;
    if (loadable) return;
    const count = formatCount(problems.length, 'problem', 'problems');
    throw new SpiffeError('PLUGIN_NOT_LOADED', `the plugin cannot be loaded: ${count}`);
  },
});
