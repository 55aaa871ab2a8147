import { isSpiffeError } from '../../spiffe/error.ts';
import { beginsWith } from '../begins-with.ts';
import { EVENT_TYPE } from './event-types.ts';
import type { LogEvent } from './parse-event-log.ts';
import { parseUefiVariable } from './uefi-variable.ts';

/** GRUB's commands and the kernel's command line are measured here, files elsewhere: their contents could look like a command. */
const GRUB_COMMANDS_PCR = 8;
const SYSTEMD_STUB_PCR = 12;
const GRUB_PREFIXES = ['grub_cmd: ', 'kernel_cmdline: '].map((prefix) => Buffer.from(prefix, 'latin1'));

const TYPES_OF_WHOLE_DATA: ReadonlySet<number> = new Set([
  EVENT_TYPE.EV_SEPARATOR,
  EVENT_TYPE.EV_S_CRTM_VERSION,
  EVENT_TYPE.EV_EFI_VARIABLE_DRIVER_CONFIG,
  EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY,
  EVENT_TYPE.EV_EFI_VARIABLE_BOOT2,
  EVENT_TYPE.EV_EFI_ACTION,
  EVENT_TYPE.EV_EFI_GPT_EVENT,
  EVENT_TYPE.EV_EFI_SPDM_DEVICE_POLICY,
  EVENT_TYPE.EV_EFI_SPDM_DEVICE_AUTHORITY,
]);

/**
 * The part of an event's data that its digest is of, by the rule of its type. Undefined where the digest is of something that
 * the log does not hold, such as the contents of a file: then the data is a hint.
 *
 * @see PC Client Platform Firmware Profile 1.06, §10.4.1; GRUB and systemd-stub by what they measure
 */
export function measuredData({ type, pcr, data }: LogEvent): Uint8Array | undefined {
  if (TYPES_OF_WHOLE_DATA.has(type)) return data;
  if (type === EVENT_TYPE.EV_EFI_VARIABLE_BOOT) return variableData(data);
  if (type === EVENT_TYPE.EV_IPL && pcr === GRUB_COMMANDS_PCR) return grubText(data);
  if (type === EVENT_TYPE.EV_IPL && pcr === SYSTEMD_STUB_PCR) return data;
  return undefined;
}

function variableData(data: Uint8Array): Uint8Array | undefined {
  try {
    return parseUefiVariable(data).data;
  } catch (error) {
    if (!isSpiffeError(error)) throw error;
    return undefined;
  }
}

/** What follows the prefix, without the NUL behind it. Which of the prefixes it was is not measured: a command may be called a command line. */
function grubText(data: Uint8Array): Uint8Array | undefined {
  const prefix = GRUB_PREFIXES.find((known) => beginsWith(data, known));
  if (prefix === undefined) return undefined;
  const end = data.at(-1) === 0 ? data.length - 1 : data.length;
  return data.subarray(prefix.length, end);
}
