import { randomUUID } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { readCapped, SpiffeError, writeFileAtomically } from '../../plugin-sdk/index.ts';
import { isIdentifier, type Pkcs11Config } from './config.ts';

/**
 * What tells the keys of this server, or agent, from those of others on the same token: as configured, else the host's name. A file that
 * is not there yet is made, with something that nobody else has.
 *
 * @throws SpiffeError `CONFIG_INVALID`, `FILE_UNUSABLE`
 */
export async function readKeyIdentifier(config: Pkcs11Config): Promise<string> {
  const { key_identifier_value: value, key_identifier_file: path } = config;
  if (value !== undefined) return value;
  if (path === undefined) return hostname().replaceAll(/[^A-Za-z0-9/_.-]/g, '-') || 'localhost';
  if ((await stat(path).catch(() => undefined)) === undefined) await writeFileAtomically(path, `${randomUUID()}\n`);
  const text = (await readCapped('key_identifier_file', path)).toString('utf8').trim();
  if (isIdentifier(text)) return text;
  const rule = '1 to 128 letters, digits and ".", "_", "-", "/"';
  throw new SpiffeError('CONFIG_INVALID', `key_identifier_file: "${path}" holds no identifier, which has ${rule}`);
}
