import {
  type Difference,
  nameOfStatus,
  type Replay,
  type ReplayedVerdict,
  type Transcript,
} from '../authoring/transcript/index.ts';
import { formatCount, formatField } from './output.ts';

const WIDTH = 18;

/** What was recorded, for people. */
export function formatRecording(path: string, { messages, draws, verdict }: Transcript): string {
  const bytes = messages.reduce((sum, message) => sum + message.bytes.length, 0);
  const counts = [
    formatCount(draws.random.length, 'draw', 'draws'),
    formatCount(draws.times.length, 'time', 'times'),
  ].join(', ');
  return rows([
    ['Transcript', path],
    ['Messages', `${messages.length}, ${formatCount(bytes, 'byte', 'bytes')}`],
    ['Randomness', draws.random.length === 0 ? 'none from the host: only a replay attack can be replayed' : counts],
    ['Verdict', describeVerdict(verdict)],
  ]);
}

/** What became of a transcript, one field a line. */
export function formatReplay(replay: Replay, asExpected: boolean): string {
  const { recordedAt, changedFiles, randomness, configuration, recorded, replayed, divergence } = replay;
  const changed = `changed since it was recorded: ${changedFiles.join(', ')}`;
  return rows([
    ['Recorded at', recordedAt.toISOString()],
    ['Server half', changedFiles.length === 0 ? 'the recorded one' : changed],
    ['Configuration', configuration === 'recorded' ? 'the recorded one' : 'given'],
    ['Randomness', randomness === 'recorded' ? 'the recorded one' : 'fresh, as with a real host'],
    ['Recorded', describeVerdict(recorded)],
    ['Replayed', describeVerdict(replayed)],
    ...(divergence === undefined
      ? []
      : [['Diverged', `at message ${divergence.message}: ${divergence.what}`] as const]),
    ...replay.differences.flatMap(describeDifference).map((line) => ['Difference', line] as const),
    ...replay.warnings.map((warning) => ['Warning', warning] as const),
    ['As expected', asExpected ? 'yes' : 'no'],
  ]);
}

/** The same for programs. */
export function toReplayJson(replay: Replay, asExpected: boolean): object {
  const { recorded, replayed } = replay;
  return {
    ...replay,
    recordedAt: replay.recordedAt.toISOString(),
    recorded: withStatusName(recorded),
    replayed: withStatusName(replayed),
    asExpected,
  };
}

/** Such as `admitted as spiffe://…`. */
export function describeVerdict(verdict: ReplayedVerdict): string {
  switch (verdict.outcome) {
    case 'admitted':
      return `admitted as ${printable(verdict.spiffeId)} with ${formatCount(verdict.selectorValues.length, 'selector', 'selectors')}`;
    case 'refused':
      return `refused, ${nameOfStatus(verdict.status)}: ${printable(verdict.message)}`;
    case 'unfinished':
      return `not decided: ${verdict.message}`;
  }
}

function describeDifference({ field, recorded, replayed }: Difference): readonly string[] {
  if (field === 'selector') {
    return [recorded === undefined ? `+ selector ${printable(replayed ?? '')}` : `- selector ${printable(recorded)}`];
  }
  return [`- ${field} ${printable(recorded ?? '')}`, `+ ${field} ${printable(replayed ?? '')}`];
}

function withStatusName(verdict: ReplayedVerdict): object {
  return verdict.outcome === 'refused' ? { ...verdict, status: nameOfStatus(verdict.status) } : verdict;
}

/** A plugin's words, on one line whatever they are. */
function printable(text: string): string {
  const cut = text.length <= MAX_CHARACTERS ? text : `${text.slice(0, MAX_CHARACTERS)}…`;
  const escaped = JSON.stringify(cut).slice(1, -1).replaceAll('\\"', '"');
  return escaped.replace(/[\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g, '\ufffd');
}

const MAX_CHARACTERS = 1_000;

function rows(fields: readonly (readonly [name: string, value: string])[]): string {
  return fields.map(([name, value]) => formatField(name, value, WIDTH)).join('');
}
