import { execFile } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:tls';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { SVIDDefinition } from '../../src/gen/spire/api/server/svid/v1/svid.ts';
import { Status } from '../../src/spiffe/status.ts';
import { issueCaCertificate } from '../../src/x509/ca-template.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { signerOfKeyObject } from '../../src/x509/signer.ts';
import { TestServer } from '../harness/running-server.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });
const run = promisify(execFile);

const resources = new AsyncDisposableStack();
let folder: TemporaryFolder;
let server: TestServer;
beforeAll(async () => {
  folder = resources.use(await createTemporaryFolder());
  server = resources.use(
    await TestServer.start({
      folder: folder.path,
      telemetry: 'Prometheus { port = 9988 tls { use_spire_svid = true } }',
      settings: `federation {
        bundle_endpoint { address = "127.0.0.1" port = 1 profile "https_spiffe" {} }
      }`,
    }),
  );
});
afterAll(() => resources.disposeAsync());

describe('a session that openssl keeps', () => {
  const ports = [
    ['the API', () => server.running.port, 'h2'],
    ['the bundle endpoint', () => server.running.bundleEndpointPort ?? 0, 'http/1.1'],
    ['the metrics', () => server.metricsPort, 'http/1.1'],
  ] as const;
  describe.each(ports)('of %s', (name, portOf, alpn) => {
    test.each(['-tls1_3', '-tls1_2'])('is not taken up again (%s)', async (version) => {
      const kept = folder.join(`${name.replaceAll(' ', '-')}${version}.pem`);
      const ask = async (...more: readonly string[]) => {
        const request = alpn === 'h2' ? '' : 'GET / HTTP/1.0\\r\\n\\r\\n';
        const client = `openssl s_client -connect 127.0.0.1:${portOf()} ${version} -alpn ${alpn} ${more.join(' ')}`;
        return (await run('sh', ['-c', `(printf '${request}'; sleep 1) | ${client} 2>&1 || true`])).stdout;
      };
      expect(await ask('-sess_out', kept)).toContain('New, TLSv1');
      // Where the server gives none there is nothing to come back with.
      if (!existsSync(kept)) return;
      const again = await ask('-sess_in', kept);
      expect(again).toContain('New, TLSv1');
      expect(again).not.toContain('Reused');
    });
  });
});

/** An RSA key of two Mersenne primes: nobody waits for it to be made, and it signs like any other. */
function mersenneKey(a: number, b: number): KeyObject {
  const [p, q] = [(1n << BigInt(a)) - 1n, (1n << BigInt(b)) - 1n];
  const phi = (p - 1n) * (q - 1n);
  let e = 65537n;
  while (phi % e === 0n) e += 2n;
  const d = inverse(e, phi);
  const text = (value: bigint) => {
    const hex = value.toString(16);
    return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex').toString('base64url');
  };
  const [n, dp, dq, qi] = [p * q, d % (p - 1n), d % (q - 1n), inverse(q, p)];
  const key = { kty: 'RSA', n: text(n), e: text(e), d: text(d), p: text(p), q: text(q), dp: text(dp), dq: text(dq) };
  return createPrivateKey({ key: { ...key, qi: text(qi) }, format: 'jwk' });
}

function inverse(value: bigint, modulus: bigint): bigint {
  let [r, next, x, nextX] = [modulus, value % modulus, 0n, 1n];
  while (next !== 0n) {
    const quotient = r / next;
    [r, next] = [next, r - quotient * next];
    [x, nextX] = [nextX, x - quotient * nextX];
  }
  return ((x % modulus) + modulus) % modulus;
}

/** User CPU of this process, which has client and server, in milliseconds. */
async function cpuOf(work: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  return process.cpuUsage(before).user / 1000;
}

describe('a CSR', () => {
  // 15,636 bits: the largest that two of those primes make below OpenSSL's own limit of 16,384.
  test('with an RSA key of 16,384 bits or so is refused before anything is calculated', async () => {
    const key = mersenneKey(11_213, 4_423);
    const pem = folder.join('large.key');
    await writeFile(pem, key.export({ type: 'pkcs8', format: 'pem' }));
    const csr = folder.join('large.csr');
    const names = ['-subj', '/CN=x', '-addext', 'subjectAltName=URI:spiffe://example.org/x'];
    await run('openssl', ['req', '-new', '-key', pem, ...names, '-outform', 'DER', '-out', csr]);
    const der = new Uint8Array(await readFile(csr));
    const svids = server.admin(SVIDDefinition);
    const mint = () =>
      expect(svids.mintX509SVID({ csr: der, ttl: 0 })).rejects.toMatchObject({
        status: Status.InvalidArgument,
        message: expect.stringContaining('15636 bits'),
      });
    await mint();
    const milliseconds = await cpuOf(async () => {
      for (let call = 0; call < 50; call++) await mint();
    });
    expect(milliseconds / 50).toBeLessThan(20);
  });
});

/** What a server of ours says to a client with these certificates, and what that cost. */
async function showCertificates(certificates: readonly Uint8Array[], key: KeyObject): Promise<number> {
  return await cpuOf(
    () =>
      new Promise<void>((resolve) => {
        const socket = connect({
          port: server.running.port,
          host: '127.0.0.1',
          rejectUnauthorized: false,
          ALPNProtocols: ['h2'],
          cert: certificates.map((der) => encodePem('CERTIFICATE', der)).join(''),
          key: key.export({ type: 'pkcs8', format: 'pem' }),
        });
        socket.on('error', () => resolve());
        socket.on('close', () => resolve());
        socket.resume();
      }),
  );
}

const HOUR_MS = 3_600_000;
const life = () => ({ notBefore: new Date(Date.now() - HOUR_MS), notAfter: new Date(Date.now() + HOUR_MS) });

describe('a client certificate', () => {
  test('with an RSA key of 16,384 bits or so ends its connection, for little', async () => {
    const key = mersenneKey(11_213, 4_423);
    const pem = folder.join('large.key');
    await writeFile(pem, key.export({ type: 'pkcs8', format: 'pem' }));
    const certificate = folder.join('large.pem');
    const names = ['-subj', '/CN=x', '-addext', 'subjectAltName=URI:spiffe://example.org/x', '-days', '1'];
    await run('openssl', ['req', '-new', '-x509', '-key', pem, ...names, '-out', certificate]);
    const { stdout } = await run('sh', [
      '-c',
      `openssl s_client -connect 127.0.0.1:${server.running.port} -alpn h2 -cert ${certificate} -key ${pem} </dev/null 2>&1 || true`,
    ]);
    expect(stdout).toContain('CONNECTED');
    const refusals = () => server.records.filter(({ message }) => message === 'a connection was refused');
    await expect.poll(() => refusals().length).toBeGreaterThan(0);
    // Another process signs: what is measured is the server's part.
    const client = `openssl s_client -connect 127.0.0.1:${server.running.port} -alpn h2 -cert ${certificate} -key ${pem}`;
    const milliseconds = await cpuOf(async () => {
      for (let call = 0; call < 5; call++) await run('sh', ['-c', `${client} </dev/null >/dev/null 2>&1 || true`]);
    });
    expect(milliseconds / 5).toBeLessThan(200);
  });

  test('with two hundred others behind it ends its connection, for little', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const signer = signerOfKeyObject(privateKey);
    const common = () => ({ trustDomain: 'example.org', serialNumber: randomBytes(16), ...life() });
    const chain = [await issueCaCertificate({ issuer: 'self', signer, ...common() })];
    while (chain.length < 200) {
      const issuer = { signer, certificate: parseCertificate(chain[0] ?? new Uint8Array()) };
      chain.unshift(await issueCaCertificate({ issuer, signer, ...common() }));
    }
    await showCertificates(chain.slice(0, 20), privateKey);
    const few = await showCertificates(chain.slice(0, 20), privateKey);
    const many = await showCertificates(chain, privateKey);
    expect(few).toBeLessThan(300);
    expect(many).toBeLessThan(1_000);
    await expect(server.admin(SVIDDefinition).mintX509SVID({ csr: new Uint8Array(1), ttl: 0 })).rejects.toThrow();
  });
});
