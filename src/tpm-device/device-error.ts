import { constants } from 'node:fs';
import { access, open } from 'node:fs/promises';
import { SpiffeError } from '../spiffe/error.ts';
import { isNativeTpmError } from './native-tpm.ts';
import { FORMAT_ONE_CODE, TPM_RC } from './tpm-response.ts';

/** TSS2_TCTI_RC_LAYER, TPM and resource manager: Part 2, §6.6 and tss2_common.h. */
const TCTI_LAYER = 10;
const LAYERS_OF_THE_TPM: readonly number[] = [0, 11];
const NOT_SUPPORTED = 21;
const BAD_VALUE = 11;
const FORMAT_ONE = 0x80;

/** Codes of a TPM that somebody can do something about. */
const ADVICE: ReadonlyMap<number, string> = new Map([
  [
    TPM_RC.hierarchy,
    'has its endorsement or its owner hierarchy disabled: enable it in the firmware, or with tpm2_hierarchycontrol',
  ],
  [TPM_RC.authFail, 'asks for an authorization of its hierarchy: correct "endorsement_auth_path" or "owner_auth_path"'],
  [TPM_RC.badAuth, 'asks for an authorization of its hierarchy: correct "endorsement_auth_path" or "owner_auth_path"'],
  [0x100, 'was not started: run tpm2_startup -c, or start swtpm with --flags startup-clear'],
  [0x101, 'is in failure mode: restart the machine'],
  [0x902, 'has no room for another object: use "device:/dev/tpmrm0", or run tpm2_flushcontext -t'],
  [0x903, 'has no room for another session: use "device:/dev/tpmrm0", or run tpm2_flushcontext -l'],
  [0x921, 'is locked out after too many wrong authorizations: run tpm2_dictionarylockout -c, or wait'],
]);
const FAILED_TO_OPEN: Readonly<Record<string, string>> = {
  ENOENT: 'load the driver, switch the TPM on in the firmware, or correct "tcti"',
  ENODEV: 'load the driver, switch the TPM on in the firmware, or correct "tcti"',
  ENXIO: 'load the driver, switch the TPM on in the firmware, or correct "tcti"',
};

/**
 * Says in one sentence why a TPM is of no use, and what to do. Errors that are not of the TPM pass unchanged.
 *
 * @param tcti as configured
 */
export function deviceError(error: unknown, tcti: string): unknown {
  if (!isNativeTpmError(error)) return error;
  const layer = (error.rc >>> 16) & 0xff;
  const code = error.rc & 0xffff;
  if (layer === TCTI_LAYER) return unavailable(connectionAdvice(tcti, code), error);
  if (LAYERS_OF_THE_TPM.includes(layer)) {
    const advice = ADVICE.get((code & FORMAT_ONE) !== 0 ? code & FORMAT_ONE_CODE : code);
    if (advice !== undefined) return unavailable(`the TPM at "${tcti}" ${advice}`, error);
  }
  return unavailable(`the TPM at "${tcti}" failed: ${error.message}`, error);
}

export function tpmBusy(tcti: string, waitedMs: number): SpiffeError {
  return new SpiffeError(
    'TPM_UNAVAILABLE',
    `the TPM at "${tcti}" is busy: another program held it for ${waitedMs / 1000} s, end that one or raise "lock_timeout"`,
  );
}

/**
 * Tells what tpm2-tss does not: why a device file cannot be opened.
 *
 * @throws SpiffeError `TPM_UNAVAILABLE`
 */
export async function requireDeviceFile(tcti: string): Promise<void> {
  const path = /^device:(.+)$/.exec(tcti)?.[1];
  if (path === undefined) return;
  try {
    await access(path, constants.R_OK | constants.W_OK);
    await (await open(path, 'r+')).close();
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    throw unavailable(openAdvice(path, code), cause);
  }
}

function openAdvice(path: string, code: string): string {
  if (code === 'EACCES' || code === 'EPERM') {
    return `no permission to use the TPM ${path}: add this user to the group that owns it, mostly "tss"`;
  }
  if (code === 'EBUSY') return `the TPM ${path} is busy: end the program that has it open, or use "device:/dev/tpmrm0"`;
  const advice = FAILED_TO_OPEN[code];
  return advice === undefined ? `the TPM ${path} does not open: ${code}` : `there is no TPM at ${path}: ${advice}`;
}

function connectionAdvice(tcti: string, code: number): string {
  if (code === NOT_SUPPORTED) {
    return `tpm2-tss has no TCTI for "${tcti}": install its libtss2-tcti package, or correct "tcti"`;
  }
  if (code === BAD_VALUE) return `tpm2-tss does not understand "${tcti}": correct "tcti"`;
  return `no TPM answers at "${tcti}": start it, or correct "tcti"`;
}

function unavailable(message: string, cause: unknown): SpiffeError {
  return new SpiffeError('TPM_UNAVAILABLE', message, { cause });
}
