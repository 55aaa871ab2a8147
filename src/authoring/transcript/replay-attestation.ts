import { SpiffeError } from '../../spiffe/error.ts';
import type { AgentHalf } from '../attestation/agent-half.ts';
import { PluginHalf } from '../attestation/plugin-half.ts';
import { type AttestationMessage, runAttestation } from '../attestation/run-attestation.ts';
import { changedExecutables, findExecutables } from './executables.ts';
import { RandomnessReplay } from './randomness.ts';
import type { HalfCommand } from './record-attestation.ts';
import { compareReplay, type Replay, type ReplayedVerdict } from './replay.ts';
import type { Transcript } from './transcript.ts';

export interface ReplayOptions {
  readonly transcript: Transcript;
  /** Its `configFile` takes the place of the recorded configuration. */
  readonly server: HalfCommand;
  /** What the server half draws from: what was recorded, or as with a real host, which is a replay attack. */
  readonly randomness: 'recorded' | 'fresh';
}

/**
 * Plays the agent's part of a transcript to a server half, and compares what that says with what was recorded.
 *
 * @throws SpiffeError where the server half cannot be started, or fails
 */
export async function replayAttestation({ transcript, server, randomness }: ReplayOptions): Promise<Replay> {
  const { trustDomain, metadata, configuration } = transcript;
  const { command, args, configFile } = server;
  const executables = await findExecutables(command, args);
  const recorded = new RandomnessReplay(transcript.draws, transcript.recordedAt);
  const given = configFile === undefined ? undefined : { file: configFile };
  await using half = await PluginHalf.start({
    side: 'server',
    command,
    args,
    data: given ?? (configuration === undefined ? undefined : { text: configuration }),
    trustDomain,
    hostServices: randomness === 'recorded' ? [recorded.service] : [],
  });
  const messages: AttestationMessage[] = [];
  const agent = new RecordedAgentHalf(transcript);
  const decided = await runAttestation({
    agent,
    server: half,
    metadata,
    onMessage: (message) => messages.push(message),
  }).catch((error: unknown): ReplayedVerdict => {
    if (error instanceof EndOfTranscript) return { outcome: 'unfinished', message: error.message };
    throw error;
  });
  const unrecordedDraw = randomness === 'recorded' ? recorded.mismatch : undefined;
  const isStuck = unrecordedDraw !== undefined && decided.outcome === 'refused';
  return compareReplay({
    transcript,
    messages,
    verdict: isStuck ? { outcome: 'unfinished', message: `${unrecordedDraw}: record the attestation anew` } : decided,
    randomness,
    configuration: given === undefined ? 'recorded' : 'given',
    changedFiles: changedExecutables(transcript.executables.server, executables),
    unrecordedDraw,
  });
}

/** The server half asks for more than was recorded. */
class EndOfTranscript extends SpiffeError {
  constructor(challenges: number) {
    super('FAILED_PRECONDITION', `it asks for an answer to challenge ${challenges}, which was not recorded`);
  }
}

/** Gives the recorded answers in their order, whatever is asked. */
class RecordedAgentHalf implements AgentHalf {
  readonly #payload: Uint8Array;
  readonly #responses: readonly Uint8Array[];
  #challenges = 0;

  constructor({ messages }: Transcript) {
    const [payload, ...rest] = messages;
    this.#payload = payload?.bytes ?? new Uint8Array(0);
    this.#responses = rest.filter(({ kind }) => kind === 'response').map(({ bytes }) => bytes);
  }

  async payload(): Promise<Uint8Array> {
    return this.#payload;
  }

  async respond(): Promise<Uint8Array> {
    const response = this.#responses[this.#challenges];
    this.#challenges += 1;
    if (response === undefined) throw new EndOfTranscript(this.#challenges);
    return response;
  }
}
