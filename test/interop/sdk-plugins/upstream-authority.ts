import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { z } from 'zod';
import {
  defineUpstreamAuthority,
  type JwtAuthority,
  type MintedX509Ca,
  type PluginContext,
  SpiffeError,
  servePlugin,
} from '../../../src/plugin-sdk/index.ts';
import { issueCaCertificate } from '../../../src/x509/ca-template.ts';
import { parseCertificate } from '../../../src/x509/certificate.ts';
import { parseCsr } from '../../../src/x509/csr.ts';
import { signerOfKeyObject } from '../../../src/x509/signer.ts';

// An upstream authority with a root in memory. What is asked of it says how it misbehaves: the number of seconds for a
// CA, the key id for a JWT key. With the argument "mint" it knows nothing but minting.

const MISBEHAVIOURS = [
  'good',
  'close-at-once',
  'no-chain',
  'no-roots',
  'garbage-chain',
  'garbage-roots',
  'bad-updates',
  'deny',
  'stays-open',
  'fail-later',
  'stays-silent',
] as const;
const GARBAGE = Buffer.from('garbage');

const signer = signerOfKeyObject(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
const validity = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 3_600_000) };
const serialNumber = () => Uint8Array.of(0x40, ...randomBytes(17));
const trustDomain = 'example.org';
const root = await issueCaCertificate({
  issuer: 'self',
  signer,
  trustDomain,
  serialNumber: serialNumber(),
  ...validity,
});
const issuer = { signer, certificate: parseCertificate(root) };

async function sign(csr: Uint8Array): Promise<Uint8Array> {
  const { subjectPublicKeyInfo } = parseCsr(csr);
  return await issueCaCertificate({
    issuer,
    subjectPublicKeyInfo,
    trustDomain,
    serialNumber: serialNumber(),
    ...validity,
  });
}

async function wait({ signal, log }: PluginContext): Promise<void> {
  log.info('waits');
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  log.info('cancelled');
}

async function* mint(csr: Uint8Array, seconds: number, context: PluginContext): AsyncGenerator<MintedX509Ca> {
  const roots = [{ certificate: root, tainted: false }];
  const garbage = [{ certificate: GARBAGE, tainted: false }];
  const misbehaviour = MISBEHAVIOURS[seconds] ?? 'good';
  switch (misbehaviour) {
    case 'close-at-once':
      return;
    case 'deny':
      throw new SpiffeError('PERMISSION_DENIED', 'no CA for you');
    case 'stays-silent':
      return await wait(context);
    case 'no-chain':
      return yield { roots };
    case 'garbage-chain':
      return yield { certificates: [GARBAGE], roots };
    case 'no-roots':
      return yield { certificates: [await sign(csr)], roots: [] };
    case 'garbage-roots':
      return yield { certificates: [await sign(csr)], roots: garbage };
  }
  const certificates = [await sign(csr)];
  yield { certificates, roots };
  if (misbehaviour === 'fail-later') throw new SpiffeError('SERVER_UNREACHABLE', 'the upstream went away');
  if (misbehaviour === 'stays-open') await wait(context);
  if (misbehaviour !== 'bad-updates') return;
  yield { certificates, roots };
  yield { roots: [] };
  yield { roots: garbage };
  yield { roots: [{ certificate: root, tainted: true }] };
}

async function* publish(key: JwtAuthority): AsyncGenerator<readonly JwtAuthority[]> {
  if (key.keyId === 'deny') throw new SpiffeError('PERMISSION_DENIED', 'no key from you');
  if (key.keyId === 'close') return;
  const published = {
    ...key,
    ...(key.keyId === 'garbage' && { publicKey: GARBAGE }),
    ...(key.keyId === 'nameless' && { keyId: '' }),
  };
  yield [published];
  yield [published, { keyId: 'bad', publicKey: GARBAGE, expiresAt: 0, tainted: false }];
  yield [];
}

const mintOnly = process.argv[2] === 'mint';
await servePlugin(
  defineUpstreamAuthority({
    name: 'upstream-authority',
    config: z.strictObject({}),
    configure: () => undefined,
    mintX509Ca: ({ csr, preferredTtlSeconds }, _state, context) => mint(csr, preferredTtlSeconds, context),
    ...(!mintOnly && {
      publishJwtKey: (key) => publish(key),
      async *subscribeToLocalBundle() {
        const x509Authorities = [{ certificate: root, tainted: false }];
        yield { x509Authorities, jwtAuthorities: [] };
        yield { x509Authorities: [], jwtAuthorities: [] };
        const key = { keyId: 'up', publicKey: signer.publicKey, expiresAt: 1_900_000_000, tainted: false };
        yield { x509Authorities, jwtAuthorities: [key] };
      },
    }),
  }),
);
