import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import type { AttestationMessage, AttestationMetadata } from '../attestation/run-attestation.ts';
import type { Verdict } from '../attestation/verdict.ts';

/** One attestation, byte for byte. It may hold what is to be kept secret of a machine, or of a configuration. */
export interface Transcript {
  readonly recordedAt: Date;
  readonly trustDomain: TrustDomain;
  /** Of the agent half and of the server half. */
  readonly executables: Readonly<Record<'agent' | 'server', readonly Executable[]>>;
  /** What the server half was configured with; undefined where it was given nothing. */
  readonly configuration: string | undefined;
  readonly metadata: AttestationMetadata;
  /** The payload, then each challenge with its response. */
  readonly messages: readonly TimedMessage[];
  readonly draws: Draws;
  readonly verdict: Verdict;
}

/** A file that a half was started with: its command, or an argument that is a file. Arguments are not kept. */
export interface Executable {
  /** Without its folder. */
  readonly name: string;
  /** In hexadecimal. */
  readonly sha256: string;
}

export interface TimedMessage extends AttestationMessage {
  readonly at: Date;
}

/** What the server half had from the host service `Randomness`, in order. */
export interface Draws {
  readonly random: readonly Uint8Array[];
  readonly times: readonly Date[];
}

/** What a transcript may hold; each is checked when it is made, and when it is read. */
export const TRANSCRIPT_LIMITS = {
  fileBytes: 32 * 1024 * 1024,
  messageBytes: 4 * 1024 * 1024,
  drawBytes: 65_536,
  draws: 1_024,
  times: 4_096,
} as const;
