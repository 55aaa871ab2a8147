import type { StrongHash } from '../algorithms.ts';

/** The event of the log that a fact rests on, so that a refusal can name it. */
export interface EventReference {
  /** From 1 in the event log, from 0 in IMA's. */
  readonly number: number;
  readonly pcr: number;
  /** Such as `EV_IPL`; of IMA's log the template. Never authenticated. */
  readonly type: string;
}

/** A fact that is not proven, and why, with the number of the check where one failed. */
export interface Unknown {
  readonly unknown: string;
}
export type Fact<T> = T | Unknown;

export const isKnown = <T extends object>(fact: Fact<T>): fact is T => !('unknown' in fact);

/** What a machine booted: only what the quoted PCRs vouch for. */
export interface BootFacts {
  /** The bank that everything here was replayed in. */
  readonly bank: StrongHash;
  /** As quoted, by index. */
  readonly pcrs: ReadonlyMap<number, Uint8Array>;
  /** Separators by which the firmware says that it failed. */
  readonly failures: readonly EventReference[];
  readonly secureBoot: Fact<SecureBootFacts>;
  readonly commandLine: Fact<CommandLineFacts>;
}

/** PCR 7. */
export interface SecureBootFacts {
  readonly isEnabled: boolean;
  /** The variable `SecureBoot`. */
  readonly event: EventReference;
  /** Where shim was told to verify nothing: then what it started is anybody's. */
  readonly shimOff: EventReference | undefined;
  /** What shim refuses by generation (SBAT), as it was measured: `sbat,1,2025021800` and more lines. */
  readonly sbatLevel: MeasuredText | undefined;
  /** By what the images that ran were verified, in order. */
  readonly authorities: readonly BootAuthority[];
  readonly dbx: DbxFacts;
  /** `UEFI Debug Mode` and what else the firmware says. */
  readonly actions: readonly MeasuredText[];
}

export interface BootAuthority {
  /** `db`: an entry of the firmware's database. `shim`: of the boot loader's own, or of the machine owner's. */
  readonly from: 'db' | 'shim';
  /** Of the variable, such as `db` or `MokListRT`. */
  readonly name: string;
  /** RFC 4514, of a certificate. Anybody can make a certificate of this name: only its hash tells which. */
  readonly subject: string | undefined;
  /** Of the certificate in DER, or else of the data as it was measured; an entry that is the SHA-256 of an image is that hash. Hex. */
  readonly sha256: string;
  /** GUID of who put it there; undefined where the data has none. */
  readonly owner: string | undefined;
  readonly event: EventReference;
}

export interface DbxFacts {
  /** SHA-256 of images that may not run, in hex. */
  readonly hashes: ReadonlySet<string>;
  /** Certificates and others included. */
  readonly entryCount: number;
  /** SHA-256 of the variable as it was measured, in hex: names this list and no other. */
  readonly version: string;
  readonly event: EventReference;
}

export interface MeasuredText {
  readonly text: string;
  readonly event: EventReference;
}

/** Something whose contents are not in the log. */
export interface MeasuredDigest {
  /** Hex, in the bank. */
  readonly digest: string;
  /** What the log calls it: nobody's word. */
  readonly hint: string;
  readonly event: EventReference;
}

export interface CommandLineFacts {
  /** Every text that may be the command line of the kernel: a rule has to hold for each. At least one. */
  readonly lines: readonly CommandLine[];
  /** What was measured beside them and cannot be read: it may hide a command line. */
  readonly unread: readonly MeasuredDigest[];
}

export interface CommandLine {
  /** Who measured it: GRUB (PCR 8), the kernel's EFI stub (PCR 9), a unified kernel image (PCR 11), systemd-stub (PCR 12). */
  readonly source: 'grub' | 'efi-stub' | 'uki' | 'systemd-stub';
  /** Undefined where only its digest was measured and no hint has that digest. GRUB's begins with the path of the kernel. */
  readonly text: string | undefined;
  /** In the bank, hex. */
  readonly digest: string;
  readonly event: EventReference;
}
