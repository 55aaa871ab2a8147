import { LogReader } from '../log-reader.ts';

const MEDIA = 4;
const FILE_PATH = 4;
const END = 0x7f;
const HEADER_BYTES = 4;
const MAX_NODES = 64;

/**
 * The file that a UEFI device path ends in, such as `\EFI\BOOT\BOOTX64.EFI`; undefined where it names none.
 *
 * @throws SpiffeError `ATTESTATION_DENIED` (D26)
 * @see UEFI 2.10, §10.3.2, §10.3.5.4
 */
export function devicePathFile(bytes: Uint8Array): string | undefined {
  const reader = new LogReader(bytes, 'a device path');
  let file: string | undefined;
  for (let node = 0; node < MAX_NODES && reader.remaining > 0; node++) {
    const [type, subtype, length] = [reader.u8(), reader.u8(), reader.u16()];
    const data = reader.take(Math.max(length - HEADER_BYTES, 0));
    if (type === END) break;
    if (type === MEDIA && subtype === FILE_PATH) file = Buffer.from(data).toString('utf16le').replace(/\0+$/, '');
  }
  return file;
}
