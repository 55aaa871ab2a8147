import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EkAuthority } from '../../src/testing/ek-authority.ts';
import { SoftwareTpm } from '../../src/testing/software-tpm.ts';
import type { QuotedPcrs } from '../../src/tpm/boot/read-boot-facts.ts';
import { EVENT_TYPE } from '../../src/tpm/event-log/event-types.ts';
import { type EventLog, type LogEvent, parseEventLog } from '../../src/tpm/event-log/parse-event-log.ts';
import { BOOT_PCRS, replayEventLog } from '../../src/tpm/event-log/replay.ts';
import { encodeAgain } from '../../test/tpm/made-event-log.ts';
import { CHECKOUT } from '../process/checkout.ts';

const RECORDED = join(CHECKOUT, 'test', 'vectors', 'tpm', 'shim-grub-secure-boot', 'binary_bios_measurements');
const BANK = 'sha256';
const GRUB_COMMANDS_PCR = 8;

/** The recorded boot with Secure Boot. */
export interface RecordedBoot {
  readonly eventLog: Uint8Array;
  /** In the bank SHA-256. */
  readonly pcrs: QuotedPcrs;
}

/** @param commands of GRUB that are measured besides: each adds about 200 bytes, as large menus do */
export function recordedBoot(commands: number): RecordedBoot {
  const log = parseEventLog(readFileSync(RECORDED));
  const more = Array.from({ length: commands }, (_, index) =>
    command(log, `menuentry 'Debian GNU/Linux, entry ${index}'`),
  );
  const events = [...log.events, ...more].map((event, index) => ({ ...event, number: index + 1 }));
  const eventLog = encodeAgain({ ...log, events });
  const replayed = replayEventLog(parseEventLog(eventLog), BANK);
  return {
    eventLog,
    pcrs: new Map(BOOT_PCRS.map((index) => [index, replayed[index]?.value ?? new Uint8Array()])),
  };
}

/** What a node sends that booted so, and who certified its TPM. */
export class RecordedEvidence implements RecordedBoot {
  readonly authority = EkAuthority.root({ name: 'Bench TPM root' });
  readonly tpm = new SoftwareTpm({ ek: 'L-1' });
  readonly ekCertificate = this.authority.issueEkCertificate(this.tpm.ekSpki);
  readonly eventLog: Uint8Array;
  readonly pcrs: QuotedPcrs;

  constructor({ eventLog, pcrs }: RecordedBoot) {
    this.eventLog = eventLog;
    this.pcrs = pcrs;
    for (const [index, value] of pcrs) this.tpm.setPcr(BANK, index, value);
  }
}

function command({ banks }: EventLog, text: string): Omit<LogEvent, 'number'> {
  const digests = new Map(banks.map((bank) => [bank, new Uint8Array(createHash(bank).update(text).digest())]));
  return { pcr: GRUB_COMMANDS_PCR, type: EVENT_TYPE.EV_IPL, data: Buffer.from(`grub_cmd: ${text}\0`), digests };
}
