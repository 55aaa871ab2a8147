/**
 * What a machine has to have booted to be called by a name. Every rule that is given has to hold: docs/measured-boot.md.
 * Digests are hex, in the bank of the quote; patterns have `*` for any characters, and are for the whole text.
 */
export interface BootPolicy {
  readonly name: string;
  /** Golden values: all of one set. */
  readonly pcrs?: readonly PcrSet[] | undefined;
  readonly firmware?: FirmwareRule | undefined;
  readonly secure_boot?: SecureBootRule | undefined;
  /** The firmware says nothing such as `UEFI Debug Mode`. */
  readonly no_debug_mode?: boolean | undefined;
  /** Digests of every image that ran before the operating system. */
  readonly loaders?: readonly string[] | undefined;
  /** Patterns: every command of GRUB is what one of them says. */
  readonly grub_commands?: readonly string[] | undefined;
  /** Digests of every file that GRUB read or the kernel's EFI stub was handed, an initrd among them. */
  readonly boot_files?: readonly string[] | undefined;
  readonly uki?: UkiRule | undefined;
  /** Patterns: the command line is what one of them says. */
  readonly kernel_cmdline?: readonly string[] | undefined;
  readonly ima?: ImaRule | undefined;
  /** For how long the same boot may have been seen, in seconds. */
  readonly max_boot_age?: number | undefined;
  /** Makers of the TPM, as its certificate writes them: `id:494E5443`. */
  readonly ek_manufacturers?: readonly string[] | undefined;
}

export interface PcrSet {
  /** For the operator, such as a firmware's version. */
  readonly name: string;
  /** By index. */
  readonly values: Readonly<Record<string, string>>;
}

export interface FirmwareRule {
  /** Patterns. */
  readonly versions?: readonly string[] | undefined;
  /** Not older than this: numbers in the version are compared one by one, what stands between them has to be the same. */
  readonly minimum?: string | undefined;
}

/** Secure Boot is on, and: */
export interface SecureBootRule {
  /** Every image was verified by one of these: `sha256:<hex>` of a certificate, or its subject (RFC 4514). */
  readonly authorities?: readonly string[] | undefined;
  /** Images that `dbx` has to revoke: their SHA-256. */
  readonly dbx_hashes?: readonly string[] | undefined;
  /** SHA-256 of `dbx` as it was measured: one of these. */
  readonly dbx_versions?: readonly string[] | undefined;
  /** How many entries `dbx` has at least. */
  readonly dbx_entries?: number | undefined;
  /** How new shim's list of revoked generations is at least: `2025021800`. */
  readonly sbat_level?: number | undefined;
}

export interface UkiRule {
  /** One of these, with all sections that are measured and no others. */
  readonly images: readonly UkiImage[];
  /** Digests of what it may be given besides, in PCR 12 and 13: nothing where absent. */
  readonly extensions?: readonly string[] | undefined;
}

export interface UkiImage {
  readonly name: string;
  /** By name, such as `.linux`. */
  readonly sections: Readonly<Record<string, string>>;
}

/** Every file that was measured is one of `allow`, signed by one of `keys`, or in `ignore`. */
export interface ImaRule {
  /** What `ima_policy=` of the measured command line has to turn on, such as `tcb`. */
  readonly policies: readonly string[];
  readonly allow?: readonly ImaAllowance[] | undefined;
  /** Certificates or public keys in PEM. */
  readonly keys?: readonly string[] | undefined;
  /** Patterns of paths whose contents do not matter. */
  readonly ignore?: readonly string[] | undefined;
  /** How many violations may be: none where absent. */
  readonly violations?: number | undefined;
  /** Whether a bank will do that the kernel fills with SHA-1. */
  readonly allow_padded_sha1?: boolean | undefined;
}

export interface ImaAllowance {
  /** A pattern. */
  readonly path: string;
  /** `sha256:<hex>` and so on. */
  readonly digests: readonly string[];
}
