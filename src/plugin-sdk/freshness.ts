import { randomBytes } from 'node:crypto';
import { RandomnessDefinition } from '../gen/assayer/hostservice/replay/v1/replay.ts';
import { messageOf, SpiffeError } from '../spiffe/error.ts';
import type { HostServices } from './host-services.ts';

/** What makes one attestation differ from the next. */
export interface Freshness {
  /** Random bytes for nonces, secrets and keys; recorded ones where a recorded attestation is replayed. */
  randomBytes(size: number): Promise<Uint8Array>;
  /** The time; the recorded one where a recorded attestation is replayed. */
  now(): Promise<Date>;
}

const NANOSECONDS_PER_MS = 1_000_000n;

/** The host's, where it has said in Init that it gives them; a server and an agent never do. */
export function freshnessOf(host: HostServices): Freshness {
  const isGiven = () => host.names.includes(RandomnessDefinition.fullName);
  return {
    randomBytes: async (size) => {
      if (!isGiven()) return randomBytes(size);
      const { random } = await (await host.randomness()).draw({ size }).catch(refused);
      if (random.length !== size) {
        throw new SpiffeError('PLUGIN_PROTOCOL', `the host gave ${random.length} random bytes instead of ${size}`);
      }
      return random;
    },
    now: async () => {
      if (!isGiven()) return new Date();
      const { unixNanoseconds } = await (await host.randomness()).now({}).catch(refused);
      return new Date(Number(unixNanoseconds / NANOSECONDS_PER_MS));
    },
  };
}

/** The host's reason is the reason why the attestation ends. */
function refused(cause: unknown): never {
  const reason = messageOf(cause);
  throw new SpiffeError('FAILED_PRECONDITION', reason, { cause });
}
