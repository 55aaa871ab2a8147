import { isSpiffeError } from '../../spiffe/error.ts';
import { LogReader } from '../log-reader.ts';
import { devicePathFile } from './device-path.ts';
import { EVENT_TYPE } from './event-types.ts';
import { isErrorSeparator } from './judge-events.ts';
import type { LogEvent } from './parse-event-log.ts';
import { parseUefiVariable, readGuid } from './uefi-variable.ts';

const MAX_TEXT_CHARACTERS = 400;
const MAX_SHOWN_BYTES = 32;
/** Tagged events of Linux's EFI stub: `LINUX_EFI_…_EVENT_TAG`. */
const EVENT_TAGS: ReadonlyMap<number, string> = new Map([
  [0x8f3b_22ec, 'initrd'],
  [0x8f3b_22ed, 'command line'],
]);

type Describe = (data: Uint8Array, event: LogEvent) => string;

const DESCRIPTIONS: ReadonlyMap<number, Describe> = new Map<number, Describe>([
  [EVENT_TYPE.EV_NO_ACTION, (data) => printable(latin1(data))],
  [
    EVENT_TYPE.EV_SEPARATOR,
    (_data, event) => (isErrorSeparator(event) ? 'the firmware failed' : 'end of the firmware'),
  ],
  [EVENT_TYPE.EV_S_CRTM_VERSION, (data) => utf16(data)],
  [EVENT_TYPE.EV_POST_CODE, (data) => textOrBlob(data)],
  [EVENT_TYPE.EV_POST_CODE2, (data) => textOrBlob(data)],
  [EVENT_TYPE.EV_EFI_ACTION, (data) => latin1(data)],
  [EVENT_TYPE.EV_ACTION, (data) => latin1(data)],
  [EVENT_TYPE.EV_IPL, (data) => ipl(data)],
  [EVENT_TYPE.EV_EVENT_TAG, (data) => tag(data)],
  [EVENT_TYPE.EV_EFI_VARIABLE_DRIVER_CONFIG, (data) => variable(data)],
  [EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY, (data) => variable(data)],
  [EVENT_TYPE.EV_EFI_VARIABLE_BOOT, (data) => bootVariable(data)],
  [EVENT_TYPE.EV_EFI_VARIABLE_BOOT2, (data) => variable(data)],
  [EVENT_TYPE.EV_EFI_BOOT_SERVICES_APPLICATION, (data) => image(data)],
  [EVENT_TYPE.EV_EFI_BOOT_SERVICES_DRIVER, (data) => image(data)],
  [EVENT_TYPE.EV_EFI_RUNTIME_SERVICES_DRIVER, (data) => image(data)],
  [EVENT_TYPE.EV_EFI_GPT_EVENT, (data) => gpt(data)],
  [EVENT_TYPE.EV_EFI_GPT_EVENT2, (data) => gpt(data)],
  [EVENT_TYPE.EV_EFI_PLATFORM_FIRMWARE_BLOB, (data) => blob(new LogReader(data, 'a firmware blob'))],
]);

/** What the data of an event says, in one line for people, at most 400 characters; its bytes where they say nothing. */
export function describeEvent(event: LogEvent): string {
  const { type, data } = event;
  const describe = DESCRIPTIONS.get(type) ?? shown;
  try {
    const text = describe(data, event);
    return text.length > MAX_TEXT_CHARACTERS ? `${text.slice(0, MAX_TEXT_CHARACTERS - 1)}…` : text;
  } catch (error) {
    if (!isSpiffeError(error)) throw error;
    return shown(data);
  }
}

function variable(data: Uint8Array): string {
  const { guid, name, data: value } = parseUefiVariable(data);
  return `${guid} ${name} = ${shown(value)}`;
}

/** Its name is not measured. */
function bootVariable(data: Uint8Array): string {
  const { name, data: value } = parseUefiVariable(data);
  return `${shown(value)} (called ${name})`;
}

/** UEFI_IMAGE_LOAD_EVENT: §10.2.3. */
function image(data: Uint8Array): string {
  const reader = new LogReader(data, 'an image load event');
  reader.take(8); // where it was loaded
  const length = reader.u64();
  reader.take(8); // the address it was linked for
  const path = devicePathFile(reader.take(Number(reader.u64())));
  return path === undefined ? `an image of ${length} bytes` : `${path}, an image of ${length} bytes`;
}

/** UEFI_GPT_DATA: §10.4.3; the disk's GUID is at byte 56 of its header. */
function gpt(data: Uint8Array): string {
  const reader = new LogReader(data, 'a GPT event');
  reader.take(56);
  const disk = readGuid(reader);
  reader.take(20);
  return `disk ${disk}, ${reader.u64()} partitions`;
}

/** UEFI_PLATFORM_FIRMWARE_BLOB: §10.2.4. */
function blob(reader: LogReader): string {
  const [base, length] = [reader.u64(), reader.u64()];
  return `${length} bytes of firmware at 0x${base.toString(16)}`;
}

/** TCG_PCClientTaggedEvent: §10.2.6. */
function tag(data: Uint8Array): string {
  const reader = new LogReader(data, 'a tagged event');
  const id = reader.u32();
  const text = printable(latin1(reader.take(reader.u32())));
  return `${EVENT_TAGS.get(id) ?? `tag 0x${id.toString(16)}`}: ${text}`;
}

/** GRUB and shim write text, systemd-stub UTF-16. */
function ipl(data: Uint8Array): string {
  const isUtf16 = data.length > 2 && data.length % 2 === 0 && data[1] === 0;
  return isUtf16 ? utf16(data) : printable(latin1(data));
}

function textOrBlob(data: Uint8Array): string {
  const text = latin1(data);
  return /^[\x20-\x7e]*$/.test(text) ? text : blob(new LogReader(data, 'a firmware blob'));
}

function shown(bytes: Uint8Array): string {
  if (bytes.length <= MAX_SHOWN_BYTES) return Buffer.from(bytes).toString('hex');
  return `${Buffer.from(bytes.subarray(0, MAX_SHOWN_BYTES)).toString('hex')}… (${bytes.length} bytes)`;
}

const latin1 = (bytes: Uint8Array) => withoutNul(Buffer.from(bytes).toString('latin1'));
const utf16 = (bytes: Uint8Array) => withoutNul(Buffer.from(bytes).toString('utf16le'));
const withoutNul = (text: string) => text.replace(/\0+$/, '');
const printable = (text: string) => text.replace(/[^\x20-\x7e]/g, '.');
