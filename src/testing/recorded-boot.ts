import { hash } from 'node:crypto';
import { SpiffeError } from '../spiffe/error.ts';
import { TPM_HASHES } from '../tpm/algorithms.ts';
import { beginsWith } from '../tpm/begins-with.ts';
import { EVENT_TYPE } from '../tpm/event-log/event-types.ts';
import { type EventLog, parseEventLog } from '../tpm/event-log/parse-event-log.ts';
import { isReplayedBank, type ReplayedBank, replayEventLog } from '../tpm/event-log/replay.ts';
import { type ImaEntry, parseImaLog } from '../tpm/ima/parse-ima-log.ts';
import { concat, u8, u16, u32 } from '../tpm/tpm-writer.ts';
import type { SwtpmChannel } from './swtpm-channel.ts';

/** What a machine measured, as its kernel tells it. */
export interface RecordedBoot {
  /** `/sys/kernel/security/tpm0/binary_bios_measurements` */
  readonly eventLog?: Uint8Array | undefined;
  /** `/sys/kernel/security/ima/binary_runtime_measurements` */
  readonly imaLog?: Uint8Array | undefined;
  /** Banks whose hash that kernel lacks (Debian's SHA-384): it extends SHA-1, filled up with zeros. */
  readonly imaPaddedBanks?: readonly ReplayedBank[] | undefined;
}

/** A boot in the order in which its digests went into the TPM. */
export interface Boot {
  /** That the event log has; undefined without one. */
  readonly banks: readonly ReplayedBank[] | undefined;
  /** Whence TPM2_Startup came: 0 or 3. */
  readonly locality: number;
  readonly eventLog: EventLog | undefined;
  readonly imaLog: readonly ImaEntry[];
  readonly imaPaddedBanks: readonly ReplayedBank[];
}

const COMMAND = { startup: 0x144, shutdown: 0x145, pcrExtend: 0x182 } as const;
const TAG = { noSessions: 0x8001, sessions: 0x8002 } as const;
const STARTUP_CLEAR = 0;
/** TPM_RS_PW with an empty password: Part 1, §19.4. */
const EMPTY_PASSWORD = concat(u32(9), u32(0x4000_0009), u16(0), u8(0), u16(0));
const HEADER_BYTES = 10;
/** The PCRs of a dynamic launch take nothing from lower ones: PC Client Platform TPM Profile, §4.6. */
const DYNAMIC = { first: 17, last: 22, locality: 2 } as const;
const H_CRTM_LOCALITY = 4;
const STARTUP_LOCALITY = Buffer.from('StartupLocality\0', 'latin1');

/**
 * @throws SpiffeError `ATTESTATION_DENIED`, `TPM_DATA_INVALID` for logs that cannot be read; `ARGUMENT_INVALID` for one that
 * no TPM can be made to repeat
 */
export function readRecordedBoot({ eventLog, imaLog, imaPaddedBanks = [] }: RecordedBoot): Boot {
  const log = eventLog && parseEventLog(eventLog);
  const banks = log?.banks.filter(isReplayedBank);
  for (const bank of banks ?? []) if (log !== undefined) replayEventLog(log, bank); // refuses what is out of place
  const locality = log === undefined ? 0 : startupLocalityOf(log);
  if (locality === H_CRTM_LOCALITY) {
    throw new SpiffeError(
      'ARGUMENT_INVALID',
      'the event log is of a boot that an H-CRTM began: what it measured is not in the log, so no TPM can repeat it',
    );
  }
  const entries = imaLog === undefined ? [] : parseImaLog(imaLog);
  return { banks, locality, eventLog: log, imaLog: entries, imaPaddedBanks };
}

/** @throws SpiffeError `ARGUMENT_INVALID` where the log cannot say what each bank of the TPM takes */
export function requireBanks(boot: Boot, banks: readonly ReplayedBank[]): void {
  const missing = boot.banks && banks.filter((bank) => !boot.banks?.includes(bank));
  if (missing !== undefined && missing.length > 0) {
    throw new SpiffeError('ARGUMENT_INVALID', `the event log has no digests for bank ${missing.join(', ')} of the TPM`);
  }
}

/** TPM2_Startup and all that the logs extend. @param banks that the TPM has, and the log */
export async function playBoot(channel: SwtpmChannel, boot: Boot, banks: readonly ReplayedBank[]): Promise<void> {
  await channel.setLocality(boot.locality);
  await channel.run('TPM2_Startup', command(TAG.noSessions, COMMAND.startup, u16(STARTUP_CLEAR)));
  await channel.setLocality(0);
  for (const { pcr, type, digests } of boot.eventLog?.events ?? []) {
    if (type === EVENT_TYPE.EV_NO_ACTION) continue;
    await extend(
      channel,
      pcr,
      banks.map((bank) => [bank, digests.get(bank) ?? new Uint8Array(TPM_HASHES[bank].size)]),
    );
  }
  for (const entry of boot.imaLog) {
    await extend(
      channel,
      entry.pcr,
      banks.map((bank) => [bank, imaDigest(entry, bank, boot.imaPaddedBanks.includes(bank))]),
    );
  }
}

/** Before the power goes, so that the clock stays safe. */
export async function shutDown(channel: SwtpmChannel): Promise<void> {
  await channel.run('TPM2_Shutdown', command(TAG.noSessions, COMMAND.shutdown, u16(STARTUP_CLEAR)));
}

/** Of a log that was replayed. */
function startupLocalityOf({ events }: EventLog): number {
  const event = events.find(({ type, data }) => type === EVENT_TYPE.EV_NO_ACTION && beginsWith(data, STARTUP_LOCALITY));
  return event?.data[STARTUP_LOCALITY.length] ?? 0;
}

/** What the kernel extends: each bank's own hash, ones for a violation. */
function imaDigest(
  { isViolation, templateData, templateDigest }: ImaEntry,
  bank: ReplayedBank,
  isPadded: boolean,
): Uint8Array {
  const { size } = TPM_HASHES[bank];
  if (isViolation) return new Uint8Array(size).fill(0xff);
  return isPadded
    ? concat(templateDigest, new Uint8Array(size - templateDigest.length))
    : hash(bank, templateData, 'buffer');
}

async function extend(
  channel: SwtpmChannel,
  pcr: number,
  digests: readonly (readonly [ReplayedBank, Uint8Array])[],
): Promise<void> {
  const values = digests.map(([bank, digest]) => concat(u16(TPM_HASHES[bank].id), digest));
  const isDynamic = pcr >= DYNAMIC.first && pcr <= DYNAMIC.last;
  if (isDynamic) await channel.setLocality(DYNAMIC.locality);
  const body = concat(u32(pcr), EMPTY_PASSWORD, u32(values.length), ...values);
  await channel.run(`TPM2_PCR_Extend of PCR ${pcr}`, command(TAG.sessions, COMMAND.pcrExtend, body));
  if (isDynamic) await channel.setLocality(0);
}

function command(tag: number, code: number, body: Uint8Array): Uint8Array {
  return concat(u16(tag), u32(HEADER_BYTES + body.length), u32(code), body);
}
