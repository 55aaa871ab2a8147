import { stat } from 'node:fs/promises';
import { readCapped, SpiffeError } from '../../plugin-sdk/index.ts';
import type { Pkcs11Config } from './config.ts';

/** The rights of the group and of others. */
const OTHERS = 0o077;
/** More than any token takes. */
const MAX_PIN_BYTES = 255;

/**
 * The PIN, from where the configuration says that it is. It is in no message.
 *
 * @throws SpiffeError `FILE_UNUSABLE`, `CONFIG_INVALID`
 */
export async function readPin({ pin_path: path, pin_env: variable }: Pkcs11Config): Promise<string> {
  if (path !== undefined) return requirePin(await readPinFile(path), `the file "${path}"`);
  const value = process.env[variable ?? ''];
  if (value === undefined) {
    const advice = 'set it for the program that starts the plugin';
    throw new SpiffeError('CONFIG_INVALID', `pin_env: the environment variable ${variable} is not set: ${advice}`);
  }
  return requirePin(value, `the environment variable ${variable}`);
}

async function readPinFile(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined); // readCapped says what is wrong
  if (found?.isFile() && (found.mode & OTHERS) !== 0) {
    throw new SpiffeError('FILE_UNUSABLE', `the PIN in "${path}" can be read by others: run chmod 600 on it`);
  }
  const content = await readCapped('pin_path', path);
  return content.toString('utf8').replace(/\r?\n$/, '');
}

function requirePin(pin: string, where: string): string {
  if (pin === '') throw new SpiffeError('CONFIG_INVALID', `${where} holds no PIN: it is empty`);
  if (Buffer.byteLength(pin) > MAX_PIN_BYTES) {
    throw new SpiffeError('CONFIG_INVALID', `${where} holds no PIN: it has more than ${MAX_PIN_BYTES} bytes`);
  }
  return pin;
}
