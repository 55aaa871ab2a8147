import { createHash } from 'node:crypto';
import type { ReattestRequest, ReattestResponse } from '../../gen/assayer/server/reattest/v1/reattest.ts';
import type { Logger } from '../../log/logger.ts';
import type { AgentAttestation } from '../../plugin-host/kinds/agent-node-attestor.ts';
import { backoffMs } from '../../rpc/backoff.ts';
import type { BidiCall } from '../../rpc/client.ts';
import { sleep } from '../../rpc/sleep.ts';
import { RemoteError } from '../../rpc/status.ts';
import { messageOf, SpiffeError } from '../../spiffe/error.ts';
import { Status } from '../../spiffe/status.ts';
import type { NodeIdentity } from '../identity/node-identity.ts';
import type { ServerConnection } from '../server-api/server-connection.ts';
import type { NodeEvidence } from './node-evidence.ts';

export interface NodeReattestationOptions {
  readonly evidence: NodeEvidence;
  readonly identity: Pick<NodeIdentity, 'svid'>;
  readonly connection: Pick<ServerConnection, 'run'>;
  /** The server may have taken something from us: a sync tells. */
  readonly onLost: () => void;
  readonly log: Logger;
}

/** A server that does not ask may be replaced, or configured, to do so. */
const ASK_AGAIN_MS = 300_000;

type ReattestCall = BidiCall<ReattestRequest, ReattestResponse>;

/**
 * Shows the server what this node is, as often as it asks. SPIRE's server does not, and neither does one whose attestor is
 * configured without an interval.
 */
export class NodeReattestation implements AsyncDisposable {
  readonly #options: NodeReattestationOptions;
  readonly #abort = new AbortController();
  readonly #running: Promise<void>;
  #failures = 0;

  private constructor(options: NodeReattestationOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  static start(options: NodeReattestationOptions): NodeReattestation {
    return new NodeReattestation(options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    const { log } = this.#options;
    while (!signal.aborted) {
      const pauseMs = await this.#answer().catch((error: unknown) => {
        if (signal.aborted) return 0;
        if (error instanceof RemoteError && isNotAsked(error.status)) return ASK_AGAIN_MS;
        this.#failures += 1;
        log.debug('this node does not attest again for now', { reason: messageOf(error) });
        if (error instanceof RemoteError && error.status === Status.PermissionDenied) this.#options.onLost();
        return backoffMs(this.#failures);
      });
      await sleep(pauseMs, signal);
    }
  }

  /** @returns how long to wait before the next stream. */
  async #answer(): Promise<number> {
    const stopped = this.#abort.signal;
    return await this.#options.connection.run(async ({ reattestation }, retired) => {
      const signal = AbortSignal.any([stopped, retired]);
      const { publicKey } = this.#options.identity.svid.key;
      try {
        await using call = reattestation.reattest({ signal });
        for (;;) {
          const begin = (await call.receive())?.step;
          if (begin === undefined) return backoffMs(1); // a server that ends it without a reason
          requireStep(begin, 'begin');
          if (!createHash('sha256').update(publicKey).digest().equals(begin.value.publicKeySha256)) {
            return backoffMs(1); // the connection is still that of the SVID before
          }
          await this.#round(call, publicKey, signal);
          this.#failures = 0;
        }
      } catch (error) {
        if (signal.aborted) return 0; // the next attempt is made over the connection that has taken this one's place
        throw error;
      }
    });
  }

  async #round(call: ReattestCall, csrPublicKey: Uint8Array, signal: AbortSignal): Promise<void> {
    await using attestation: AgentAttestation = this.#options.evidence.begin({ csrPublicKey, signal });
    await call.send({ step: { $case: 'payload', value: await attestation.payload } });
    for (;;) {
      const step = (await call.receive())?.step;
      if (step?.$case === 'challenge') {
        const value = await attestation.respond(step.value);
        await call.send({ step: { $case: 'challengeResponse', value } });
        continue;
      }
      requireStep(step, 'verdict');
      if (step.value.holds) return;
      this.#options.log.warning('the server does not find this node to be what it has to be: its operator knows why');
      return this.#options.onLost();
    }
  }
}

function isNotAsked(status: Status): boolean {
  return status === Status.Unimplemented || status === Status.FailedPrecondition;
}

type Step = NonNullable<ReattestResponse['step']>;

function requireStep<Case extends Step['$case']>(
  step: Step | undefined,
  wanted: Case,
): asserts step is Extract<Step, { $case: Case }> {
  if (step?.$case === wanted) return;
  throw new SpiffeError('INTERNAL', `the server sent ${step?.$case ?? 'nothing'} where a ${wanted} was due`);
}
