import { type Replay, readTranscript, replayAttestation } from '../../../authoring/transcript/index.ts';
import { SpiffeError } from '../../../spiffe/error.ts';
import { defineCommand } from '../../command.ts';
import { oneOf, text } from '../../flag-kinds.ts';
import { describeVerdict, formatReplay, toReplayJson } from '../../format-replay.ts';
import { formatProtoJson, outputFlag } from '../../output.ts';

export const pluginReplay = defineCommand({
  summary: "Play a recorded agent half to a node attestor's server half, and compare its verdict",
  flags: {
    output: outputFlag,
    config: text("File with what plugin_data would have, in the recorded configuration's place", 'FILE'),
    expect: oneOf('The verdict that is wanted: the recorded one, or a refusal', ['same', 'refused']),
    randomness: oneOf(
      'What the server half draws from: what was recorded (as with -expect same), or afresh, as with a real host (as with -expect refused)',
      ['auto', 'recorded', 'fresh'],
    ),
  },
  operands: 'TRANSCRIPT COMMAND [ARGUMENT…]',
  run: async ({ output, config, expect, randomness }, terminal, [path, command, ...args]) => {
    if (path === undefined || command === undefined) {
      throw new SpiffeError(
        'ARGUMENT_INVALID',
        "give the transcript and the path of the server half's executable behind the flags",
      );
    }
    const transcript = await readTranscript(path);
    const { outcome } = transcript.verdict;
    if (expect === 'refused' && outcome === 'refused') {
      const advice = 'record one that is admitted, or leave out -expect';
      throw new SpiffeError('ARGUMENT_INVALID', `the recorded attestation was refused already: ${advice}`);
    }
    // Ending in this way takes the plugin and its sockets along.
    process.once('SIGINT', () => process.exit(130));
    process.once('SIGTERM', () => process.exit(143));
    const isFresh = randomness === 'fresh' || (randomness === 'auto' && expect === 'refused');
    const replay = await replayAttestation({
      transcript,
      server: { command, args, configFile: config === '' ? undefined : config },
      randomness: isFresh ? 'fresh' : 'recorded',
    });
    const asExpected = expect === 'same' ? replay.differences.length === 0 : replay.replayed.outcome === 'refused';
    const json = () => formatProtoJson(toReplayJson(replay, asExpected));
    terminal.print(output === 'json' ? json() : formatReplay(replay, asExpected));
    if (!asExpected) throw new SpiffeError('FAILED_PRECONDITION', describeFailure(replay, expect));
  },
});

function describeFailure({ recorded, replayed }: Replay, expected: 'same' | 'refused'): string {
  if (expected === 'refused') return `a refusal was expected, the replay was ${describeVerdict(replayed)}`;
  if (recorded.outcome === replayed.outcome) return 'the verdict is not the recorded one';
  return `the recorded attestation was ${recorded.outcome}, the replay was ${describeVerdict(replayed)}`;
}
