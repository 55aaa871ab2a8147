/** TPM_PT: Part 2, §6.13. */
export const FIXED_PROPERTIES = { first: 0x100, count: 64 } as const;
export const PT_MANUFACTURER = 0x105;
const PT_VENDOR_STRINGS = [0x106, 0x107, 0x108, 0x109] as const;
const PT_FIRMWARE = { high: 0x10b, low: 0x10c } as const;

export interface TpmProperties {
  /** The four letters of the TCG's vendor registry, such as `INTC`. */
  readonly manufacturer: string;
  readonly vendorString: string;
  /** Four numbers with dots. */
  readonly firmwareVersion: string;
}

/** @param fixed TPM_PT by number: {@link FIXED_PROPERTIES} */
export function toProperties(fixed: ReadonlyMap<number, number>): TpmProperties {
  const high = fixed.get(PT_FIRMWARE.high) ?? 0;
  const low = fixed.get(PT_FIRMWARE.low) ?? 0;
  return {
    manufacturer: lettersOf(fixed.get(PT_MANUFACTURER)),
    vendorString: PT_VENDOR_STRINGS.map((property) => lettersOf(fixed.get(property))).join(''),
    firmwareVersion: [high >>> 16, high & 0xffff, low >>> 16, low & 0xffff].join('.'),
  };
}

/** Four characters in a number, without NUL and blanks at the end. */
function lettersOf(value = 0): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes.toString('latin1').replace(/[\0 ]+$/, '');
}
