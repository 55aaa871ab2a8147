/** What a machine has to have booted to be called by a name. Every rule that is given has to hold. */
export interface BootPolicy {
  readonly name: string;
  /** Golden values: all of one set. */
  readonly pcrs?: readonly PcrSet[] | undefined;
  readonly secure_boot?: SecureBootRule | undefined;
  /** Patterns with `*`: the command line is what one of them says, from beginning to end. */
  readonly kernel_cmdline?: readonly string[] | undefined;
}

export interface PcrSet {
  /** For the operator, such as a firmware's version. */
  readonly name: string;
  /** Hex, by index, in the bank of the quote. */
  readonly values: Readonly<Record<string, string>>;
}

/** Secure Boot is on, and: */
export interface SecureBootRule {
  /** Every image was verified by one of these: `sha256:<hex>` of a certificate, or its subject (RFC 4514). */
  readonly authorities?: readonly string[] | undefined;
}
