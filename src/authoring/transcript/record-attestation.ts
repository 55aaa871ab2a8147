import { generateKeyPairSync } from 'node:crypto';
import { readPluginData } from '../../plugin-host/configure.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { PluginAgentHalf } from '../attestation/agent-half.ts';
import { PluginHalf } from '../attestation/plugin-half.ts';
import { runAttestation } from '../attestation/run-attestation.ts';
import { findExecutables } from './executables.ts';
import { RandomnessRecorder } from './randomness.ts';
import { type TimedMessage, TRANSCRIPT_LIMITS, type Transcript } from './transcript.ts';

/** How one half is started. */
export interface HalfCommand {
  /** A path, also a relative one. */
  readonly command: string;
  readonly args: readonly string[];
  /** A file with what `plugin_data` would have. */
  readonly configFile?: string | undefined;
}

export interface RecordOptions {
  readonly agent: HalfCommand;
  readonly server: HalfCommand;
  readonly trustDomain: TrustDomain;
  /** The node's address, as the server half is told; none by default. */
  readonly clientAddress?: string;
}

/**
 * Lets an agent half attest to a server half, and keeps all that passes between them. A refusal is a verdict, too.
 *
 * @throws SpiffeError where a half cannot be started, fails, or sends more than a transcript may hold
 */
export async function recordAttestation(options: RecordOptions): Promise<Transcript> {
  const { agent, server, trustDomain, clientAddress = '' } = options;
  const recordedAt = new Date();
  const executables = {
    agent: await findExecutables(agent.command, agent.args),
    server: await findExecutables(server.command, server.args),
  };
  const { configFile } = server;
  const configuration = configFile === undefined ? undefined : await readPluginData({ file: configFile });
  const recorder = new RandomnessRecorder();
  await using serverHalf = await PluginHalf.start({
    side: 'server',
    command: server.command,
    args: server.args,
    data: configuration === undefined ? undefined : { text: configuration },
    trustDomain,
    hostServices: [recorder.service],
  });
  await using agentHalf = await PluginHalf.start({
    side: 'agent',
    command: agent.command,
    args: agent.args,
    data: agent.configFile === undefined ? undefined : { file: agent.configFile },
    trustDomain,
  });
  const metadata = { csrPublicKey: newPublicKey(), forwardedHost: '', clientAddress };
  const messages: TimedMessage[] = [];
  await using attestation = new PluginAgentHalf(agentHalf, metadata.csrPublicKey);
  const verdict = await runAttestation({
    agent: attestation,
    server: serverHalf,
    metadata,
    onMessage: (message) => {
      const { kind, bytes } = message;
      if (bytes.length > TRANSCRIPT_LIMITS.messageBytes) {
        throw new SpiffeError(
          'TOO_LARGE',
          `the ${kind} has ${bytes.length} bytes: ${TRANSCRIPT_LIMITS.messageBytes} at most`,
        );
      }
      messages.push({ ...message, at: new Date() });
    },
  });
  return { recordedAt, trustDomain, executables, configuration, metadata, messages, draws: recorder.draws, verdict };
}

/** Of a CSR that nobody makes: whoever attests here wants no certificate. */
function newPublicKey(): Uint8Array {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return Uint8Array.from(publicKey.export({ type: 'spki', format: 'der' }));
}
