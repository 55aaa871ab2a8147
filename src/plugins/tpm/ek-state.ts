import { z } from 'zod';
import type { ClockInfo } from '../../tpm/attest.ts';
import type { ImaCheckpoint } from '../../tpm/boot/boot-facts.ts';
import { requireCheck } from '../../x509/require-check.ts';

/** How far the IMA log of a boot was verified, so that only what it gains has to be read. */
export interface ImaProgress extends ImaCheckpoint {
  /** In which PCR 10 was replayed. */
  readonly bank: string;
  /** Of the entries that were verified. */
  readonly byteCount: number;
}

/** What is remembered of an endorsement key from one attestation to the next. */
export interface EkState {
  readonly resetCount: number;
  readonly restartCount: number;
  /** Milliseconds that the TPM was powered. */
  readonly clock: bigint;
  /** The clock when this boot was seen first. */
  readonly bootSeenAt: bigint;
  /** Of this boot. */
  readonly ima?: ImaProgress | undefined;
}

const hexBytes = z
  .string()
  .regex(/^([0-9a-f]{2})*$/)
  .transform((text): Uint8Array => Buffer.from(text, 'hex'));
const milliseconds = z
  .string()
  .regex(/^\d{1,20}$/)
  .transform(BigInt);
const count = z.int().min(0);

const ekStateFile = z.strictObject({
  version: z.literal(1),
  resetCount: count,
  restartCount: count,
  clock: milliseconds,
  bootSeenAt: milliseconds,
  ima: z
    .strictObject({
      bank: z.string(),
      byteCount: count,
      entryCount: count,
      violationCount: count,
      pcr: hexBytes,
      isPaddedSha1: z.boolean(),
      allowedBy: z.array(z.string()),
    })
    .optional(),
});

export function encodeEkState({ clock, bootSeenAt, ima, ...counts }: EkState): string {
  const progress = ima && { ...ima, pcr: Buffer.from(ima.pcr).toString('hex') };
  return `${JSON.stringify({ version: 1, ...counts, clock: `${clock}`, bootSeenAt: `${bootSeenAt}`, ima: progress })}\n`;
}

/** @throws ZodError, SyntaxError for what {@link encodeEkState} did not write */
export function decodeEkState(text: string): EkState {
  const { version: _version, ...state } = ekStateFile.parse(JSON.parse(text));
  return state;
}

/** Whether two readings are of one boot, in which nothing of the TPM was reset. */
export function isSameBoot(
  one: Pick<EkState, 'resetCount' | 'restartCount'>,
  other: Pick<EkState, 'resetCount' | 'restartCount'>,
): boolean {
  return one.resetCount === other.resetCount && one.restartCount === other.restartCount;
}

/**
 * A TPM's counters only go forward: one that goes back is the state of a software TPM that was copied or restored.
 *
 * @param remedy what to do where the TPM was cleared on purpose
 * @throws SpiffeError `ATTESTATION_DENIED` (C24)
 */
export function requireForward(last: EkState | undefined, now: ClockInfo, remedy: string): void {
  if (last === undefined) return;
  const { resetCount, restartCount, clock } = now;
  requireCheck(
    'C24',
    resetCount > last.resetCount || (resetCount === last.resetCount && restartCount >= last.restartCount),
    `the TPM has restarted ${resetCount}.${restartCount} times, and ${last.resetCount}.${last.restartCount} times before: ${remedy}`,
  );
  requireCheck(
    'C24',
    clock >= last.clock,
    `the TPM was powered for ${clock} ms, and for ${last.clock} ms before: ${remedy}`,
  );
}

/** What is to be remembered after an attestation. */
export function advance(last: EkState | undefined, now: ClockInfo, ima: ImaProgress | undefined): EkState {
  const { resetCount, restartCount, clock } = now;
  const bootSeenAt = last?.resetCount === resetCount ? last.bootSeenAt : clock;
  const isOngoing = last !== undefined && isSameBoot(last, now);
  return { resetCount, restartCount, clock, bootSeenAt, ima: ima ?? (isOngoing ? last.ima : undefined) };
}
