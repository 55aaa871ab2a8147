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
  readonly firmware: Fact<FirmwareFacts>;
  readonly secureBoot: Fact<SecureBootFacts>;
  readonly loaders: Fact<LoaderFacts>;
  readonly grub: Fact<GrubFacts>;
  readonly uki: Fact<UkiFacts>;
  readonly commandLine: Fact<CommandLineFacts>;
  readonly ima: Fact<ImaFacts>;
}

/** What the event log says of it. */
export type EventLogFacts = Omit<BootFacts, 'bank' | 'pcrs' | 'ima'>;

/** PCR 0. */
export interface FirmwareFacts {
  /** EV_S_CRTM_VERSION, which may be empty. */
  readonly version: string;
  readonly event: EventReference;
}

/** PCR 4. */
export interface LoaderFacts {
  /** Every image that ran before the operating system, in order: shim, GRUB, a kernel. At least one. */
  readonly images: readonly MeasuredDigest[];
}

/** PCR 8 and 9. */
export interface GrubFacts {
  /** Commands and command lines alike, in order. */
  readonly commands: readonly MeasuredText[];
  /** Files that GRUB read, and what the kernel's EFI stub was handed; but for a command line that is told apart. */
  readonly files: readonly MeasuredDigest[];
}

/** A unified kernel image, started by systemd-stub: PCR 11, 12 and 13. */
export interface UkiFacts {
  /** By name, such as `.linux`, in canonical order. At least one. */
  readonly sections: ReadonlyMap<string, MeasuredDigest>;
  /** What it was given besides and is no command line: credentials, addons, system extensions. */
  readonly extensions: readonly MeasuredDigest[];
  /** How far systemd says the boot has come, such as `enter-initrd`. */
  readonly phases: readonly string[];
}

/** PCR 10. */
export interface ImaFacts {
  /** Entries that the quote vouches for, from the first on. */
  readonly entryCount: number;
  /** Of these. */
  readonly violationCount: number;
  /** The last violation of those in {@link files}. */
  readonly violation: EventReference | undefined;
  /** Whether the bank is no better than SHA-1. */
  readonly isPaddedSha1: boolean;
  /** What was measured, but for `boot_aggregate`: all, or what came after {@link after}. */
  readonly files: readonly ImaFile[];
  /** Where an earlier reading ended that this one goes on from. */
  readonly after: ImaCheckpoint | undefined;
  /** PCR 10 after these entries. */
  readonly pcr: Uint8Array;
  /** Of the log that was given, those of these entries. */
  readonly byteCount: number;
}

export interface ImaFile {
  /** From 0 in the log. */
  readonly number: number;
  readonly template: string;
  /** The path; undefined for an entry that cannot be read, and for a violation, whose name is not authenticated. */
  readonly name: string | undefined;
  readonly isViolation: boolean;
  /** `sha256:<hex>`, of fs-verity `verity:sha256:<hex>`; empty where nothing can be read. */
  readonly digest: string;
  /** Of `security.ima`; empty where there is none. */
  readonly signature: Uint8Array;
  /** {@link name} and {@link digest} in one, as {@link fileKey} has them; undefined where they have to be read to tell. */
  readonly key: string | undefined;
}

/** How far an IMA log was read and judged, so that the next quote needs only what came after. */
export interface ImaCheckpoint {
  readonly entryCount: number;
  readonly violationCount: number;
  /** PCR 10 after these, in the bank. */
  readonly pcr: Uint8Array;
  readonly isPaddedSha1: boolean;
  /** Digests of the policies whose rule on IMA held for every entry so far. */
  readonly allowedBy: readonly string[];
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
