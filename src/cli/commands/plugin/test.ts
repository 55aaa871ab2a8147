import { type PluginCommand, testPlugin } from '../../../authoring/conformance/index.ts';
import { SpiffeError } from '../../../spiffe/error.ts';
import { parseTrustDomain } from '../../../spiffe/trust-domain.ts';
import { defineCommand } from '../../command.ts';
import { text, texts, timeoutMs } from '../../flag-kinds.ts';
import { formatCounts, formatResult } from '../../format-conformance.ts';
import { formatCount, formatProtoJson, outputFlag } from '../../output.ts';
import { parseKind, parseSide } from '../../plugin-kind.ts';

const HANDSHAKE_MS = 10_000;

export const pluginTest = defineCommand({
  summary: 'Try a plugin against the wire contract, rule by rule',
  flags: {
    output: outputFlag,
    kind: text('Kind of the plugin, such as key-manager; found by itself where the plugin is of one kind only', 'KIND'),
    side: text('Program that the plugin is for, server or agent; found by itself too', 'SIDE'),
    config: text('File with what plugin_data would have; an empty one without it', 'FILE'),
    trustDomain: text('Trust domain that the plugin is configured for', 'NAME', 'example.org'),
    name: text('Name of the plugin in the configuration, below which the IDs of agents have to be', 'NAME'),
    metadata: texts('Selector value that says an SVID store where to put an SVID', 'VALUE'),
    peer: text('Executable of the other half of a node attestor; with it both are tried together', 'COMMAND'),
    peerArg: texts('Argument of the other half', 'ARGUMENT'),
    peerConfig: text('File with the plugin_data of the other half', 'FILE'),
    rule: texts('Identifier of a rule; all of them without it', 'ID'),
    timeout: timeoutMs('How long to wait for a handshake', HANDSHAKE_MS),
  },
  operands: 'COMMAND [ARGUMENT…]',
  run: async (flags, terminal, [command, ...args]) => {
    if (command === undefined) {
      throw new SpiffeError('ARGUMENT_INVALID', "give the path of the plugin's executable behind the flags");
    }
    const { output, kind, side, config, trustDomain, name, metadata, rule, timeout } = flags;
    const wanted = kind === '' ? undefined : parseKind(kind);
    // Ending in this way takes the plugin and its sockets along.
    process.once('SIGINT', () => process.exit(130));
    process.once('SIGTERM', () => process.exit(143));
    const report = await testPlugin({
      command,
      args,
      type: wanted?.type,
      side: parseSide(side) ?? wanted?.side,
      configFile: config === '' ? undefined : config,
      trustDomain: parseTrustDomain(trustDomain),
      name: name === '' ? undefined : name,
      peer: peerOf(flags),
      handshakeDeadlineMs: timeout === 0 ? HANDSHAKE_MS : timeout,
      ...(metadata.length === 0 ? {} : { metadata }),
      ...(rule.length === 0 ? {} : { only: rule }),
      ...(output === 'json' ? {} : { onResult: (result) => void terminal.print(formatResult(result)) }),
    });
    terminal.print(output === 'json' ? formatProtoJson(report) : formatCounts(report));
    const { FAIL } = report.counts;
    if (FAIL > 0) throw new SpiffeError('PLUGIN_PROTOCOL', `the plugin fails ${formatCount(FAIL, 'rule', 'rules')}`);
  },
});

interface PeerFlags {
  readonly peer: string;
  readonly peerArg: readonly string[];
  readonly peerConfig: string;
}

function peerOf({ peer, peerArg, peerConfig }: PeerFlags): PluginCommand | undefined {
  if (peer !== '') return { command: peer, args: peerArg, configFile: peerConfig === '' ? undefined : peerConfig };
  if (peerArg.length === 0 && peerConfig === '') return undefined;
  throw new SpiffeError('ARGUMENT_INVALID', '-peerArg and -peerConfig are of the plugin that -peer names: give it too');
}
