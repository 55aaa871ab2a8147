import { createPrivateKey, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  decodePem,
  defineUpstreamAuthority,
  type JwtAuthority,
  parseCertificate,
  parseCsr,
  SpiffeError,
  servePlugin,
  signerOfKeyObject,
  z,
} from '../../../src/plugin-sdk/index.ts';
import { issueCaCertificate } from '../../../src/x509/ca-template.ts';

// An upstream authority that a file tells what to do, at any time: which of some CAs signs, which are trusted and tainted,
// which JWT keys there are above, and whether it signs at all.

const caSchema = z.strictObject({ certificate: z.string(), key: z.string() });
const scriptSchema = z.strictObject({
  cas: z.record(z.string(), caSchema),
  signs: z.string(),
  trusted: z.array(z.string()),
  tainted: z.array(z.string()).default([]),
  refuses: z.string().optional(),
  keys: z
    .array(z.strictObject({ keyId: z.string(), publicKey: z.string(), tainted: z.boolean().default(false) }))
    .default([]),
});
export type Script = z.input<typeof scriptSchema>;

const POLL_MS = 100;
const [path = ''] = process.argv.slice(2);

async function readScript() {
  return scriptSchema.parse(JSON.parse(await readFile(path, 'utf8')));
}

type Parsed = Awaited<ReturnType<typeof readScript>>;

const derOf = (pem = '') => decodePem(pem, 'CERTIFICATE')[0] ?? new Uint8Array();
const rootsOf = ({ cas, trusted, tainted }: Parsed) =>
  trusted.map((name) => ({ certificate: derOf(cas[name]?.certificate), tainted: tainted.includes(name) }));
const keysOf = ({ keys }: Parsed): readonly JwtAuthority[] =>
  keys.map(({ publicKey, ...key }) => ({ ...key, publicKey: Buffer.from(publicKey, 'base64'), expiresAt: 0 }));

async function sign(csr: Uint8Array, seconds: number, { cas, signs }: Parsed): Promise<Uint8Array> {
  const { certificate = '', key = '' } = cas[signs] ?? {};
  const { subjectPublicKeyInfo, subject } = parseCsr(csr);
  return await issueCaCertificate({
    issuer: { signer: signerOfKeyObject(createPrivateKey(key)), certificate: parseCertificate(derOf(certificate)) },
    subjectPublicKeyInfo,
    subject,
    trustDomain: 'example.org',
    serialNumber: Uint8Array.of(0x40, ...randomBytes(17)),
    notBefore: new Date(Date.now() - 10_000),
    notAfter: new Date(Date.now() + seconds * 1000),
  });
}

/** What of the script matters, now and whenever it changes. */
async function* follow<Value>(of: (script: Parsed) => Value, signal: AbortSignal): AsyncGenerator<Value> {
  let last = '';
  while (!signal.aborted) {
    const value = of(await readScript());
    const text = JSON.stringify(value);
    if (text !== last) yield value;
    last = text;
    await sleep(POLL_MS, undefined, { signal }).catch(() => {});
  }
}

await servePlugin(
  defineUpstreamAuthority({
    name: 'scripted-upstream',
    config: z.strictObject({}),
    configure: () => undefined,
    async *mintX509Ca({ csr, preferredTtlSeconds }, _state, { signal }) {
      const script = await readScript();
      if (script.refuses !== undefined) throw new SpiffeError('SERVER_UNREACHABLE', script.refuses);
      let certificates: readonly Uint8Array[] | undefined = [await sign(csr, preferredTtlSeconds, script)];
      for await (const roots of follow(rootsOf, signal)) {
        yield certificates === undefined ? { roots } : { certificates, roots };
        certificates = undefined;
      }
    },
    async *publishJwtKey(key, _state, { signal }) {
      const script = await readScript();
      if (script.refuses !== undefined) throw new SpiffeError('SERVER_UNREACHABLE', script.refuses);
      yield* follow((now) => [...keysOf(now), key], signal);
    },
    async *subscribeToLocalBundle(_state, { signal }) {
      yield* follow((now) => ({ x509Authorities: rootsOf(now), jwtAuthorities: keysOf(now) }), signal);
    },
  }),
);
