import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { createSpiffeCredentials } from '../../src/rpc/tls-client.ts';
import type { TlsIdentity } from '../../src/rpc/tls-identity.ts';
import { emptyBundle } from '../../src/spiffe/bundle.ts';
import { serverId } from '../../src/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { createCsr } from '../../src/x509/csr.ts';
import { signerOfKeyObject } from '../../src/x509/signer.ts';
import type { Target } from './job.ts';

const MAX_MESSAGE_BYTES = 256 * 1024 * 1024;

export function openAdmin({ adminSocket }: Target): RpcChannel {
  return RpcChannel.unix(adminSocket, { maxMessageBytes: MAX_MESSAGE_BYTES });
}

/** Over TLS, as nobody or as `identity`. Takes the server's word for who it is: verifying costs the driver only. */
export function openTls({ trustDomain: name, port }: Target, identity?: TlsIdentity): RpcChannel {
  const trustDomain = parseTrustDomain(name);
  const credentials = createSpiffeCredentials({
    expectedId: serverId(trustDomain),
    bundle: () => emptyBundle(trustDomain),
    insecureBootstrap: true,
    ...(identity === undefined ? {} : { identity: () => identity }),
  });
  return RpcChannel.open(`ipv4:127.0.0.1:${port}`, credentials, { maxMessageBytes: MAX_MESSAGE_BYTES });
}

/** A key, and a CSR that proves it. */
export interface KeyAndCsr {
  readonly privateKey: KeyObject;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  readonly csr: Uint8Array;
}

export async function createKeyAndCsr(...uriNames: readonly string[]): Promise<KeyAndCsr> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const signer = signerOfKeyObject(privateKey);
  return { privateKey, publicKey: signer.publicKey, csr: await createCsr({ signer, uriNames }) };
}
