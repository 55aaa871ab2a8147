import type { AttestAgentResponse } from '../../gen/spire/api/server/agent/v1/agent.ts';
import type { KeyManager, ManagedKey } from '../../plugin-host/kinds/key-manager.ts';
import type { BidiCall } from '../../rpc/client.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import { createCsr } from '../../x509/csr.ts';
import { generateAgentKey } from '../identity/agent-keys.ts';
import { requireReceivedSvid } from '../identity/received-svid.ts';
import type { ServerConnection } from '../server-api/server-connection.ts';
import type { StoredSvid } from '../storage/agent-data.ts';
import type { NodeEvidence } from './node-evidence.ts';

export interface AttestNodeOptions {
  readonly evidence: NodeEvidence;
  readonly keyManager: KeyManager;
  /** The key of the SVID that the new one replaces. */
  readonly keyInUse: ManagedKey | undefined;
  /** An anonymous one. */
  readonly connection: ServerConnection;
  readonly clock: () => Date;
  readonly signal: AbortSignal;
}

/** The agent's X.509-SVID with its key. */
export interface AgentSvid extends StoredSvid {
  readonly spiffeId: SpiffeId;
  readonly key: ManagedKey;
  readonly expiresAt: Date;
}

/** Of a whole attestation. */
const DEADLINE_MS = 120_000;

/** Proves to the server what this node is. @returns the identity that it earned, with a new key. */
export async function attestNode(options: AttestNodeOptions): Promise<AgentSvid> {
  const { evidence, keyManager, keyInUse, connection, clock, signal } = options;
  const key = await generateAgentKey(keyManager, keyInUse);
  const csr = await createCsr({ signer: key, uriNames: [] });
  await using attestation = evidence.begin({ csrPublicKey: key.publicKey, signal });
  const payload = await attestation.payload;
  const { svid, reattestable } = await connection.run(async ({ agent }) => {
    await using call = agent.attestAgent({ signal, deadlineMs: DEADLINE_MS });
    const data = { type: evidence.type, payload };
    await call.send({ step: { $case: 'params', value: { data, params: { csr } } } });
    for (;;) {
      const step = await receiveStep(call);
      if (step.$case === 'result') return step.value;
      await call.send({ step: { $case: 'challengeResponse', value: await attestation.respond(step.value) } });
    }
  });
  const chain = svid?.certChain ?? [];
  const receivedAt = clock();
  const { spiffeId, leaf } = requireReceivedSvid({ chain, publicKey: key.publicKey, now: receivedAt });
  return { spiffeId, key, chain, reattestable, receivedAt, expiresAt: leaf.notAfter };
}

async function receiveStep(
  call: BidiCall<never, AttestAgentResponse>,
): Promise<NonNullable<AttestAgentResponse['step']>> {
  const message = await call.receive();
  if (message?.step !== undefined) return message.step;
  throw new SpiffeError('INTERNAL', 'the server ended the attestation without a verdict');
}
