import type { X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import { findFileState, readCapped, SpiffeError } from '../../plugin-sdk/index.ts';
import { parseCertificates, parsePrivateKey, parseToken } from '../kubernetes/credential-text.ts';

/** Which files show this plugin to the kubelet, and the kubelet to this plugin. */
export interface CredentialPaths {
  /** PEM; undefined where the kubelet's certificate is not verified. */
  readonly ca: string | undefined;
  readonly token: string | undefined;
  readonly client: { readonly certificate: string; readonly key: string } | undefined;
}

/** What those files held at one moment. */
export interface Credentials {
  readonly secureContext: SecureContext;
  /** A secret. */
  readonly token: string | undefined;
}

/** @throws SpiffeError `CONFIG_INVALID`, naming the key of the configuration and the file */
export async function readCredentials({ ca, token, client }: CredentialPaths): Promise<Credentials> {
  const authorities = ca === undefined ? undefined : await readCertificates('kubelet_ca_path', ca);
  const identity = client && (await readIdentity(client));
  return {
    secureContext: createSecureContext({
      minVersion: 'TLSv1.2',
      ...(authorities && { ca: authorities.map(String) }),
      ...(identity && { cert: identity.certificates.map(String).join(''), key: identity.key }),
    }),
    token: token === undefined ? undefined : await readToken(token),
  };
}

/** Another text once one of the files is another. */
export async function versionOf({ ca, token, client }: CredentialPaths): Promise<string> {
  const states = [ca, token, client?.certificate, client?.key].map((path) => path && findFileState(path));
  return (await Promise.all(states)).join(', ');
}

async function readToken(path: string): Promise<string> {
  return parseToken(`token_path: "${path}"`, (await readCapped('token_path', path)).toString('latin1'));
}

async function readIdentity({ certificate, key }: { readonly certificate: string; readonly key: string }) {
  const certificates = await readCertificates('certificate_path', certificate);
  const keyText = (await readCapped('private_key_path', key)).toString('latin1');
  const privateKey = parsePrivateKey(`private_key_path: "${key}"`, keyText);
  if (certificates[0]?.checkPrivateKey(privateKey) !== true) {
    const message = `the key in "${key}" is not that of the first certificate in "${certificate}"`;
    throw new SpiffeError('CONFIG_INVALID', `private_key_path: ${message}`);
  }
  return { certificates, key: String(privateKey.export({ type: 'pkcs8', format: 'pem' })) };
}

async function readCertificates(setting: string, path: string): Promise<readonly X509Certificate[]> {
  return parseCertificates(`${setting}: "${path}"`, (await readCapped(setting, path)).toString('latin1'));
}
