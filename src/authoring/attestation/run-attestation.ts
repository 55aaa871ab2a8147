import {
  type AttestRequest,
  type AttestResponse,
  NodeAttestorDefinition,
} from '../../gen/spire/plugin/server/nodeattestor/v1/nodeattestor.ts';
import type { BidiCall } from '../../rpc/client.ts';
import { ATTESTATION_METADATA } from '../../rpc/go-plugin.ts';
import { RemoteError } from '../../rpc/status.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { Status } from '../../spiffe/status.ts';
import type { AgentHalf } from './agent-half.ts';
import type { PluginHalf } from './plugin-half.ts';
import type { Verdict } from './verdict.ts';

/** What passes between the halves. */
export interface AttestationMessage {
  readonly kind: 'payload' | 'challenge' | 'response';
  readonly bytes: Uint8Array;
}

/** What the server half is told beside the messages. */
export interface AttestationMetadata {
  /** SubjectPublicKeyInfo of the agent's CSR, DER. */
  readonly csrPublicKey: Uint8Array;
  readonly forwardedHost: string;
  readonly clientAddress: string;
}

/** More rounds than any attestor has. */
export const MAX_MESSAGES = 64;
const DEADLINE_MS = 120_000;
/** A server half that ends in this way has not judged the node. */
const NO_VERDICT: readonly Status[] = [
  Status.Unimplemented,
  Status.Unavailable,
  Status.DeadlineExceeded,
  Status.Cancelled,
];

/**
 * Carries messages between the halves of a node attestor, byte for byte, until the server half decides.
 *
 * @param onMessage sees each message before it is passed on, in order
 * @throws SpiffeError where a half fails or breaks the protocol; what the agent's part throws, unchanged
 */
export async function runAttestation(options: {
  readonly agent: AgentHalf;
  readonly server: PluginHalf;
  readonly metadata: AttestationMetadata;
  readonly onMessage?: (message: AttestationMessage) => void;
}): Promise<Verdict> {
  const { agent, server, metadata, onMessage = () => {} } = options;
  const payload = await agent.payload();
  await using call = server.client(NodeAttestorDefinition).attest({
    deadlineMs: DEADLINE_MS,
    metadata: {
      [ATTESTATION_METADATA.forwardedHost]: metadata.forwardedHost,
      [ATTESTATION_METADATA.clientAddress]: metadata.clientAddress,
      [ATTESTATION_METADATA.csrPublicKey]: metadata.csrPublicKey,
    },
  });
  onMessage({ kind: 'payload', bytes: payload });
  await call.send({ request: { $case: 'payload', value: payload } });
  for (let messages = 1; messages < MAX_MESSAGES; messages += 2) {
    const answer = await receive(server, call);
    if ('outcome' in answer) return answer;
    onMessage({ kind: 'challenge', bytes: answer.challenge });
    const bytes = await agent.respond(answer.challenge);
    onMessage({ kind: 'response', bytes });
    await call.send({ request: { $case: 'challengeResponse', value: bytes } });
  }
  throw new SpiffeError('PLUGIN_PROTOCOL', `the server half has not decided after ${MAX_MESSAGES} messages`);
}

async function receive(
  server: PluginHalf,
  call: BidiCall<AttestRequest, AttestResponse>,
): Promise<Verdict | { readonly challenge: Uint8Array }> {
  try {
    const answer = await call.receive();
    switch (answer?.response?.$case) {
      case 'challenge':
        return { challenge: answer.response.value };
      case 'agentAttributes':
        return { outcome: 'admitted', ...answer.response.value };
      default: {
        const got = answer === undefined ? 'closed the stream' : 'sent an empty message';
        throw new SpiffeError('PLUGIN_PROTOCOL', `it ${got} before it had decided`);
      }
    }
  } catch (error) {
    const described = await server.describe(error);
    const isVerdict = error instanceof RemoteError && !NO_VERDICT.includes(error.status);
    if (!isVerdict) throw described;
    return { outcome: 'refused', status: error.status, message: error.message };
  }
}
