import { createPublicKey, type KeyObject } from 'node:crypto';
import { isSpiffeError, readCapped, SpiffeError } from '../../plugin-sdk/index.ts';
import type { SshAgentConfig } from './agent-config.ts';
import { parseSshCertificate, type SshCertificate } from './ssh-certificate.ts';
import { parseSshPrivateKey } from './ssh-private-key.ts';

export interface HostKey {
  readonly key: KeyObject;
  readonly certificate: SshCertificate;
}

/** @throws SpiffeError `CONFIG_INVALID`, naming the setting and the file; nothing of the key is in it */
export async function readHostKey({ host_key_path, host_cert_path }: SshAgentConfig): Promise<HostKey> {
  const key = await read('host_key_path', host_key_path, parseSshPrivateKey);
  const certificate = await read('host_cert_path', host_cert_path, parseCertificateLine);
  if (!createPublicKey(key).equals(certificate.key)) {
    throw new SpiffeError(
      'CONFIG_INVALID',
      `host_cert_path: the certificate in "${host_cert_path}" is for another key than the one in "${host_key_path}"`,
    );
  }
  return { key, certificate };
}

/** `ssh-ed25519-cert-v01@openssh.com AAAA… comment` */
function parseCertificateLine(text: string): SshCertificate {
  const [type = '', base64 = ''] = text.trim().split(/\s+/);
  const blob = Buffer.from(base64, 'base64');
  if (type === '' || blob.length === 0) throw new SpiffeError('ARGUMENT_INVALID', 'it holds no SSH certificate');
  return parseSshCertificate(blob);
}

async function read<T>(setting: string, path: string, parse: (text: string) => T): Promise<T> {
  const text = (await readCapped(setting, path)).toString('latin1');
  try {
    return parse(text);
  } catch (cause) {
    if (!isSpiffeError(cause)) throw cause;
    throw new SpiffeError('CONFIG_INVALID', `${setting}: "${path}": ${cause.message}`, { cause });
  }
}
