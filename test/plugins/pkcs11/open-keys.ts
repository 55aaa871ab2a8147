import { createHash, createPublicKey, verify } from 'node:crypto';
import { Logger, type LogRecord } from '../../../src/log/logger.ts';
import { RefusedPins } from '../../../src/pkcs11/refused-pins.ts';
import { pkcs11Config } from '../../../src/plugins/pkcs11/config.ts';
import { TokenKeys } from '../../../src/plugins/pkcs11/token-keys.ts';
import { parseTrustDomain } from '../../../src/spiffe/trust-domain.ts';

/** Everything that was logged. */
export const logged: LogRecord[] = [];
export const log = new Logger((record) => logged.push(record), 'trace');

export interface OpenOptions {
  readonly trustDomain?: string;
  readonly side?: 'server' | 'agent';
  /** Where refused PINs are remembered. */
  readonly folder: string;
  readonly config: Readonly<Record<string, unknown>>;
}

/** The keys of a server or agent, as its plugin opens them. */
export async function openKeys(options: OpenOptions): Promise<TokenKeys> {
  const { trustDomain = 'example.org', side = 'server', folder, config } = options;
  return await TokenKeys.open(
    pkcs11Config.parse({ key_identifier_value: 'one', ...config }),
    side,
    { log, trustDomain: parseTrustDomain(trustDomain) },
    new RefusedPins(async () => folder, log),
  );
}

export const digestOf = (hash: string, message: string): Uint8Array => createHash(hash).update(message).digest();

/** Whether a signature over a message is that of the key, with OpenSSL. */
export function isSigned(
  publicKey: Uint8Array,
  hash: string,
  message: string,
  signature: Uint8Array,
  pss?: { readonly padding: number; readonly saltLength: number },
): boolean {
  const key = createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' });
  return verify(hash, Buffer.from(message), pss === undefined ? key : { key, ...pss }, signature);
}
