/** What is known of a machine besides its boot. */
export interface JudgeContext {
  /** Of the verified EK certificate; undefined without one. */
  readonly ekManufacturer?: string | undefined;
  /** How long ago this boot was first seen, by the TPM's own clock; undefined where it never was before. */
  readonly bootSeenSeconds?: number | undefined;
}
