import { requireCheck } from '../../x509/require-check.ts';
import { LogReader } from '../log-reader.ts';

/** UEFI_VARIABLE_DATA: PC Client Platform Firmware Profile, §10.4.2. */
export interface UefiVariable {
  /** `8be4df61-93ca-11d2-aa0d-00e098032b8c`: whose variable it is. */
  readonly guid: string;
  readonly name: string;
  readonly data: Uint8Array;
}

const MAX_NAME_CHARACTERS = 1_024;

/** @throws SpiffeError `ATTESTATION_DENIED` (D26) */
export function parseUefiVariable(bytes: Uint8Array): UefiVariable {
  const reader = new LogReader(bytes, 'a UEFI variable');
  const guid = readGuid(reader);
  const [nameLength, dataLength] = [reader.u64(), reader.u64()];
  requireCheck(
    'D26',
    nameLength <= MAX_NAME_CHARACTERS,
    `the name of a UEFI variable has ${nameLength} characters, at most ${MAX_NAME_CHARACTERS} are read`,
  );
  const name = Buffer.from(reader.take(Number(nameLength) * 2)).toString('utf16le');
  requireCheck(
    'D26',
    dataLength === BigInt(reader.remaining),
    `a UEFI variable announces ${dataLength} bytes of data, and ${reader.remaining} follow`,
  );
  return { guid, name, data: reader.take(Number(dataLength)) };
}

/** EFI_GUID, whose first three parts are little-endian: RFC 9562 §4 turned over. */
export function readGuid(reader: LogReader): string {
  const first = reader.u32().toString(16).padStart(8, '0');
  const [second, third] = [reader.u16(), reader.u16()].map((part) => part.toString(16).padStart(4, '0'));
  const rest = Buffer.from(reader.take(8)).toString('hex');
  return `${first}-${second}-${third}-${rest.slice(0, 4)}-${rest.slice(4)}`;
}
