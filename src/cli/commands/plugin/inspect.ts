import { setTimeout as delay } from 'node:timers/promises';
import { type Exercise, type Inspection, inspectPlugin } from '../../../authoring/inspect/index.ts';
import { SpiffeError } from '../../../spiffe/error.ts';
import { parseTrustDomain } from '../../../spiffe/trust-domain.ts';
import { defineCommand } from '../../command.ts';
import { text, timeoutMs, toggle } from '../../flag-kinds.ts';
import { formatInspection } from '../../format-inspection.ts';
import { formatSuggestion, toSuggestionJson } from '../../format-suggestion.ts';
import { formatCount, formatProtoJson, outputFlag } from '../../output.ts';
import type { Terminal } from '../../terminal.ts';

const HANDSHAKE_MS = 60_000;

export const pluginInspect = defineCommand({
  summary: 'Start a plugin as a host does, and tell what it is and what is wrong with it',
  flags: {
    output: outputFlag,
    config: text('File with what plugin_data would have; without it the plugin is not configured', 'FILE'),
    trustDomain: text('Trust domain that the plugin is configured for', 'NAME', 'example.org'),
    side: text('Program that the plugin is for, server or agent; either one without it', 'SIDE'),
    suggest: toggle('Watch what the plugin does, suggest a sandbox for it, and try that'),
    run: timeoutMs('How long to keep it up for its author to use it while it is watched; with -suggest', 0),
    timeout: timeoutMs('How long to wait for the handshake', HANDSHAKE_MS),
  },
  operands: 'COMMAND [ARGUMENT…]',
  run: async ({ output, config, trustDomain, side, suggest, run, timeout }, terminal, [command, ...args]) => {
    if (command === undefined) {
      throw new SpiffeError('ARGUMENT_INVALID', "give the path of the plugin's executable behind the flags");
    }
    if (side !== '' && side !== 'server' && side !== 'agent') {
      throw new SpiffeError('ARGUMENT_INVALID', `-side: ${JSON.stringify(side)} is neither server nor agent`);
    }
    if (run > 0 && !suggest) throw new SpiffeError('ARGUMENT_INVALID', '-run goes with -suggest');
    // Ending in this way takes the plugin and its sockets along.
    process.once('SIGINT', () => process.exit(130));
    process.once('SIGTERM', () => process.exit(143));
    const inspection: Inspection = await inspectPlugin({
      command,
      args,
      trustDomain: parseTrustDomain(trustDomain),
      configFile: config === '' ? undefined : config,
      side: side === '' ? undefined : side,
      suggest,
      exercise: run === 0 ? undefined : keepUp(run, terminal),
      handshakeDeadlineMs: timeout === 0 ? HANDSHAKE_MS : timeout,
    });
    const { problems, loadable, suggestion } = inspection;
    if (output === 'json') {
      const printed = { ...inspection, suggestion: suggestion && toSuggestionJson(suggestion) };
      terminal.print(formatProtoJson(printed, ['manifest']));
    } else {
      terminal.print(formatInspection(inspection) + (suggestion === undefined ? '' : formatSuggestion(suggestion)));
    }
    if (loadable) return;
    const count = formatCount(problems.length, 'problem', 'problems');
    throw new SpiffeError('PLUGIN_NOT_LOADED', `the plugin cannot be loaded: ${count}`);
  },
});

/** Leaves the plugin to its author for a while; under the suggestion it is not used again. */
function keepUp(durationMs: number, terminal: Terminal): Exercise {
  return async (_connection, phase, socketPath) => {
    if (phase === 'confined') return;
    terminal.printError(`The plugin is watched for ${durationMs / 1_000} s: gRPC on unix://${socketPath}\n`);
    await delay(durationMs);
  };
}
