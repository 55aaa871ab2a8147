import type { BootFacts } from '../../src/tpm/boot/boot-facts.ts';
import { readBootFacts } from '../../src/tpm/boot/read-boot-facts.ts';
import { describeEvent } from '../../src/tpm/event-log/describe-event.ts';
import { type EventLog, parseEventLog } from '../../src/tpm/event-log/parse-event-log.ts';
import { imaFieldsOf } from '../../src/tpm/ima/ima-fields.ts';
import { type ImaEntry, parseImaLog } from '../../src/tpm/ima/parse-ima-log.ts';
import type { Machine } from './machine.ts';

const SECURITY = '/sys/kernel/security';
const PCRS = '/sys/class/tpm/tpm0/pcr-sha256';

/** What a machine says of its boot, from within. */
export class RecordedBoot {
  /** All 24, by index, of the bank SHA-256. */
  readonly pcrs: ReadonlyMap<number, Uint8Array>;
  readonly eventLog: Uint8Array;
  /** Read after the PCRs: it may be longer than they know. */
  readonly imaLog: Uint8Array;
  readonly commandLine: string;
  readonly events: EventLog['events'];
  readonly imaEntries: readonly ImaEntry[];

  private constructor(
    pcrs: ReadonlyMap<number, Uint8Array>,
    eventLog: Uint8Array,
    imaLog: Uint8Array,
    commandLine: string,
  ) {
    this.pcrs = pcrs;
    this.eventLog = eventLog;
    this.imaLog = imaLog;
    this.commandLine = commandLine;
    this.events = parseEventLog(eventLog).events;
    this.imaEntries = parseImaLog(imaLog);
  }

  static async of(machine: Machine): Promise<RecordedBoot> {
    const values = await machine.run(`for index in $(seq 0 23); do cat ${PCRS}/$index; done`);
    const pcrs = String(values)
      .trim()
      .split('\n')
      .map((line, index) => [index, Buffer.from(line, 'hex')] as const);
    return new RecordedBoot(
      new Map(pcrs),
      await machine.run(`cat ${SECURITY}/tpm0/binary_bios_measurements`),
      await machine.run(`cat ${SECURITY}/ima/binary_runtime_measurements`),
      String(await machine.run('cat /proc/cmdline')).trimEnd(),
    );
  }

  /** What the PCRs vouch for. @throws SpiffeError `ATTESTATION_DENIED` */
  get facts(): BootFacts {
    const { pcrs, eventLog, imaLog, commandLine } = this;
    return readBootFacts({
      bank: 'sha256',
      quoted: new Map([['sha256', pcrs]]),
      eventLog,
      commandLineHint: commandLine,
      ima: { log: imaLog },
    });
  }

  /** As `assayer tpm eventlog -pcrs` reads them. */
  get pcrFile(): string {
    return [...this.pcrs].map(([index, value]) => `sha256 ${index} ${hex(value)}\n`).join('');
  }

  pcr(index: number): string {
    return hex(this.pcrs.get(index) ?? new Uint8Array());
  }

  /** Digests of files, by the names that they were opened by. */
  get files(): ReadonlyMap<string, string> {
    return new Map(
      this.imaEntries.flatMap((entry) => {
        const fields = imaFieldsOf(entry);
        return fields === undefined ? [] : [[fields.name, hex(fields.digest)]];
      }),
    );
  }

  /** The events that are not the same in another boot, in the order of this one: `PCR 9, initrd: Linux initrd`. */
  eventsUnlike(other: RecordedBoot): readonly string[] {
    const length = Math.max(this.events.length, other.events.length);
    return Array.from({ length }, (_, index) => [this.#event(index), other.#event(index)] as const).flatMap(
      ([mine, others]) => (mine.digest === others.digest ? [] : [mine.text]),
    );
  }

  /** Files that both have opened, with other contents. */
  filesUnlike(other: RecordedBoot): readonly string[] {
    const { files } = other;
    return [...this.files].flatMap(([name, digest]) => {
      const others = files.get(name);
      return others === undefined || others === digest ? [] : [name];
    });
  }

  /** PCRs of firmware, boot loader and kernel whose values differ. */
  bootPcrsUnlike(other: RecordedBoot): readonly number[] {
    return [...this.pcrs.keys()].filter((index) => index < 10 && this.pcr(index) !== other.pcr(index));
  }

  #event(index: number): { readonly text: string; readonly digest: string | undefined } {
    const event = this.events[index];
    if (event === undefined) return { text: 'no event', digest: undefined };
    return {
      text: `PCR ${event.pcr}, ${describeEvent(event)}`,
      digest: hex(event.digests.get('sha256') ?? new Uint8Array()),
    };
  }
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
