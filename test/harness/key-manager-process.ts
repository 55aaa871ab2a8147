import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { RawSigningKey, type SignatureHash } from '../../src/addon/raw-signature.ts';
import {
  KeyManagerDefinition,
  type SignDataRequest,
} from '../../src/gen/spire/plugin/agent/keymanager/v1/keymanager.ts';
import { Logger } from '../../src/log/logger.ts';
import { RpcServer } from '../../src/rpc/server.ts';
import { bindService } from '../../src/rpc/service.ts';
import { listenUnix } from '../../src/rpc/unix-listener.ts';
import { SpiffeError } from '../../src/spiffe/error.ts';

/**
 * A key manager for the TLS engine, in a process of its own: `node key-manager-process.ts <socket>`.
 * Prints one line of JSON with the public key of every key id, base64. The ids say what each does.
 */

function importKey(privateKey: KeyObject): RawSigningKey {
  return RawSigningKey.import(privateKey.export({ type: 'pkcs8', format: 'der' }));
}

const ec = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve });
const rsa = (modulusLength: number) => generateKeyPairSync('rsa', { modulusLength });
const pairs: Readonly<Record<string, { privateKey: KeyObject; publicKey: KeyObject }>> = {
  'ec-p256': ec('P-256'),
  'ec-p384': ec('P-384'),
  'rsa-2048': rsa(2048),
  'rsa-4096': rsa(4096),
  'takes-20-ms': ec('P-256'),
  'takes-500-ms': ec('P-256'),
  'signs-once': ec('P-256'),
  'freezes-after-once': ec('P-256'),
  'replaced-after-once': ec('P-256'),
  'signs-with-another': ec('P-256'),
  'signs-nothing': ec('P-256'),
  'signs-too-long': ec('P-256'),
};
const keys = new Map(Object.entries(pairs).map(([id, { privateKey }]) => [id, importKey(privateKey)]));
const HASHES: Readonly<Record<number, SignatureHash>> = { 4: 'sha224', 5: 'sha256', 6: 'sha384', 7: 'sha512' };
const used = new Map<string, number>();

async function sign({ keyId, data, signerOpts }: SignDataRequest): Promise<Uint8Array> {
  const key = keys.get(keyId === 'signs-with-another' ? 'ec-p256' : keyId);
  if (key === undefined) throw new SpiffeError('KEY_NOT_FOUND', `no key "${keyId}"`);
  const times = (used.get(keyId) ?? 0) + 1;
  used.set(keyId, times);
  if (keyId === 'takes-20-ms') await delay(20);
  if (keyId === 'takes-500-ms') await delay(500);
  if (keyId === 'signs-once' && times > 1) throw new SpiffeError('PERMISSION_DENIED', 'this key signs no more');
  if (keyId === 'freezes-after-once' && times > 1) await delay(60_000);
  if (keyId === 'signs-nothing') return new Uint8Array();
  if (keyId === 'signs-too-long') return new Uint8Array(4096);
  if (!keyId.startsWith('rsa')) return key.signDigest(data, { scheme: 'ecdsa' });
  const hash = HASHES[signerOpts?.$case === 'pssOptions' ? signerOpts.value.hashAlgorithm : (signerOpts?.value ?? 0)];
  if (hash === undefined) throw new SpiffeError('ARGUMENT_INVALID', 'a hash that TLS does not use');
  if (signerOpts?.$case === 'hashAlgorithm') return key.signDigest(data, { scheme: 'rsa-pkcs1', hash });
  return key.signDigest(data, { scheme: 'rsa-pss', hash, saltLength: signerOpts?.value.saltLength ?? 0 });
}

const unused = async () => {
  throw new SpiffeError('UNIMPLEMENTED', 'only signs');
};
const log = new Logger(({ message }) => process.stderr.write(`${message}\n`));
const server = RpcServer.create({
  log,
  services: [
    bindService(KeyManagerDefinition, {
      generateKey: unused,
      getPublicKey: unused,
      getPublicKeys: unused,
      signData: async (request) => ({
        signature: await sign(request),
        keyFingerprint: `${request.keyId}${request.keyId === 'replaced-after-once' ? used.get(request.keyId) : 1}`,
      }),
    }),
  ],
});
await listenUnix({
  path: process.argv[2] ?? '',
  mode: 0o600,
  log,
  onConnection: (socket, peer) => server.accept(socket, peer),
});
const publicKeys = Object.entries(pairs).map(([id, { publicKey }]) => [
  id,
  publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
]);
process.stdout.write(`${JSON.stringify(Object.fromEntries(publicKeys))}\n`);
