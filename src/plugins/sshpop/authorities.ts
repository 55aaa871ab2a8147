import { isSpiffeError, readCapped, SpiffeError } from '../../plugin-sdk/index.ts';
import type { SshServerConfig } from './server-config.ts';
import { fingerprintOf } from './ssh-certificate.ts';
import { KEY_TYPES, parsePublicKey } from './ssh-key.ts';

const MAX_AUTHORITIES = 1024;
/** A type, which may stand behind options such as `cert-authority`, and the key in base64. */
const LINE = new RegExp(`(?:^|[ \\t])(${KEY_TYPES.join('|')})[ \\t]+([A-Za-z0-9+/]+={0,2})(?:[ \\t]|$)`);

/**
 * Fingerprints of all that may sign host certificates.
 *
 * @throws SpiffeError `CONFIG_INVALID`, naming the setting and the line
 */
export async function readAuthorities(
  config: Pick<SshServerConfig, 'cert_authorities' | 'cert_authorities_path'>,
): Promise<ReadonlySet<string>> {
  const path = config.cert_authorities_path;
  const given = config.cert_authorities.map((line, index) => ({ line, where: `cert_authorities[${index}]` }));
  const text = path === undefined ? '' : (await readCapped('cert_authorities_path', path)).toString('utf8');
  const read = text
    .split('\n')
    .map((line, index) => ({ line: line.trim(), where: `cert_authorities_path: "${path}" line ${index + 1}` }))
    .filter(({ line }) => line !== '' && !line.startsWith('#'));
  if (path !== undefined && read.length === 0) throw invalid(`cert_authorities_path: "${path}" holds no key`);
  const all = [...given, ...read];
  if (all.length > MAX_AUTHORITIES) {
    throw invalid(`cert_authorities: there are ${all.length} keys, more than ${MAX_AUTHORITIES}`);
  }
  return new Set(all.map(({ line, where }) => readAuthority(line, where)));
}

function readAuthority(line: string, where: string): string {
  const [, type = '', base64 = ''] = LINE.exec(line) ?? [];
  const blob = new Uint8Array(Buffer.from(base64, 'base64'));
  if (type === '' || Buffer.from(blob).toString('base64').replace(/=+$/, '') !== base64.replace(/=+$/, '')) {
    throw invalid(
      `${where}: must be a public key, such as "ssh-ed25519 AAAA…", of a type among ${KEY_TYPES.join(', ')}`,
    );
  }
  try {
    const key = parsePublicKey(blob, 'the key');
    if (key.type !== type) throw invalid(`the key is of type ${key.type}, and the line says ${type}`);
    return fingerprintOf(blob);
  } catch (cause) {
    if (!isSpiffeError(cause)) throw cause;
    throw invalid(`${where}: ${cause.message}`, cause);
  }
}

function invalid(message: string, cause?: unknown): SpiffeError {
  return new SpiffeError('CONFIG_INVALID', message, { cause });
}
