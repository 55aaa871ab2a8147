import { execFile } from 'node:child_process';
import { rename } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { writeFileAtomically } from '../../src/files/write-file-atomically.ts';
import { CertificateFiles } from '../../src/http/certificate-files.ts';
import { PageServer } from '../../src/http/page-server.ts';
import { listenWithTls } from '../../src/http/tls-listener.ts';
import { Logger, type LogRecord } from '../../src/log/logger.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';

// The endpoint with certificates of files, made by openssl, and curl as the client.
const METRICS = { what: 'the metrics endpoint', setting: 'telemetry.Prometheus.tls' };
const run = promisify(execFile);
let folder: TemporaryFolder;
beforeEach(async () => {
  folder = await createTemporaryFolder();
});
afterEach(() => folder[Symbol.asyncDispose]());

const openssl = async (...args: string[]) => await run('openssl', args, { cwd: folder.path });

/** `NAME.pem` and `NAME.key`, by itself or by another. */
async function makeCertificate(name: string, issuer = name): Promise<void> {
  const by = issuer === name ? [] : ['-CA', `${issuer}.pem`, '-CAkey', `${issuer}.key`];
  const extensions = [
    ...['-addext', `basicConstraints=critical,CA:${issuer === name ? 'TRUE' : 'FALSE'}`],
    ...['-addext', 'subjectAltName=DNS:localhost'],
  ];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc'];
  await openssl(
    ...['req', '-x509', ...key, '-keyout', `${name}.key`, '-out', `${name}.pem`, '-subj', `/CN=${name}`, '-days', '2'],
    ...extensions,
    ...by,
  );
}

async function serve(clientCa?: string, intervalMs = 50) {
  const records: LogRecord[] = [];
  const log = new Logger((record) => records.push(record), 'debug');
  const stack = new AsyncDisposableStack();
  const server = stack.use(
    new PageServer({
      pages: new Map([['/metrics', async () => ({ status: 200, contentType: 'text/plain', text: 'x 1\n' })]]),
      directions: 'metrics are at /metrics',
      log,
    }),
  );
  const files = stack.use(
    await CertificateFiles.open({
      ...METRICS,
      certFile: folder.join('server.pem'),
      keyFile: folder.join('server.key'),
      clientCaFile: clientCa && folder.join(clientCa),
      intervalMs,
      log,
    }),
  );
  const options = {
    host: 'localhost',
    port: 0,
    setting: 'telemetry.Prometheus',
    log,
    onConnection: server.accept.bind(server),
  };
  const { port } = stack.use(await listenWithTls(files, options));
  return {
    records,
    curl: async (ca: string, client?: string, ...args: string[]) => {
      const own = client === undefined ? [] : ['--cert', `${client}.pem`, '--key', `${client}.key`];
      const url = `https://localhost:${port}/metrics`;
      const { stdout } = await run('curl', ['--silent', '--fail', '--cacert', `${ca}.pem`, ...own, ...args, url], {
        cwd: folder.path,
      });
      return stdout;
    },
    s_client: async (...args: string[]) =>
      await run('sh', ['-c', `openssl s_client -connect localhost:${port} ${args.join(' ')} </dev/null 2>&1 || true`]),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

test('serves with its certificate, over HTTP/1.1 and TLS 1.2 or later, without tickets', async () => {
  await makeCertificate('authority');
  await makeCertificate('server', 'authority');
  await using endpoint = await serve();
  expect(await endpoint.curl('authority')).toBe('x 1\n');
  expect(await endpoint.curl('authority', undefined, '--tls-max', '1.2')).toBe('x 1\n');
  expect((await endpoint.s_client('-tls1_1')).stdout).not.toMatch(/Cipher is [A-Z]{2}/);
  expect((await endpoint.s_client('-alpn', 'h2,http/1.1')).stdout).toMatch(/ALPN protocol: http\/1\.1/);
  expect((await endpoint.s_client('-tls1_2')).stdout).not.toMatch(/TLS session ticket/);
});

test('with client_ca_file it answers clients of that authority alone', async () => {
  for (const [name, issuer] of [
    ['authority'],
    ['server', 'authority'],
    ['clients'],
    ['client', 'clients'],
    ['other'],
  ] as const)
    await makeCertificate(name, issuer);
  await makeCertificate('stranger', 'other');
  await using endpoint = await serve('clients.pem');
  expect(await endpoint.curl('authority', 'client')).toBe('x 1\n');
  await expect(endpoint.curl('authority')).rejects.toMatchObject({ code: expect.any(Number), stdout: '' });
  await expect(endpoint.curl('authority', 'stranger')).rejects.toMatchObject({ code: expect.any(Number), stdout: '' });
  await expect(endpoint.curl('authority', 'server')).rejects.toMatchObject({ code: expect.any(Number), stdout: '' });
});

test('files that change are read again; what cannot be used leaves the last in place', async () => {
  await makeCertificate('authority');
  await makeCertificate('server', 'authority');
  await makeCertificate('next');
  await using endpoint = await serve();
  const shown = async (ca: string) => await endpoint.curl(ca).catch(() => 'not trusted');
  await writeFileAtomically(folder.join('server.pem'), 'no certificate');
  await expect.poll(() => endpoint.records.filter(({ level }) => level === 'warning')).toHaveLength(1);
  expect(endpoint.records.at(-1)).toMatchObject({
    message: 'the metrics endpoint goes on with its last certificate',
    fields: { reason: expect.stringMatching(/cert_file: .*server\.pem does not hold certificates in PEM$/) },
  });
  expect(await shown('authority')).toBe('x 1\n');
  await rename(folder.join('next.pem'), folder.join('server.pem'));
  await expect
    .poll(() => endpoint.records.at(-1)?.fields.reason)
    .toMatch(/key_file: the key in .*server\.key is not that of the first certificate/);
  expect(await shown('authority')).toBe('x 1\n');
  await rename(folder.join('next.key'), folder.join('server.key'));
  await expect.poll(() => endpoint.records.at(-1)?.level).toBe('info');
  expect(await shown('server')).toBe('x 1\n'); // server.pem is next.pem now, its own authority
  expect(await shown('authority')).toBe('not trusted');
});

describe('files that cannot be used are refused at the start, by name', () => {
  const rejects = async (options: { certFile?: string; keyFile?: string; clientCaFile?: string }, message: RegExp) => {
    const paths = { certFile: folder.join('server.pem'), keyFile: folder.join('server.key'), ...options };
    await expect(CertificateFiles.open({ ...METRICS, ...paths, log: new Logger(() => {}) })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(message),
    });
  };

  test('all of them', async () => {
    await makeCertificate('server');
    await makeCertificate('other');
    await rejects({ certFile: '/none' }, /tls\.cert_file: ENOENT/);
    await rejects({ keyFile: folder.path }, /tls\.key_file: EISDIR/);
    await rejects({ certFile: folder.join('server.key') }, /tls\.cert_file: .*server\.key does not hold certificates/);
    await rejects({ keyFile: folder.join('server.pem') }, /tls\.key_file: .*does not hold a private key in PEM$/);
    await rejects({ keyFile: folder.join('other.key') }, /tls\.key_file: the key in .*other\.key is not that of/);
    await rejects({ clientCaFile: folder.join('server.key') }, /tls\.client_ca_file: .*does not hold certificates/);
  });
});
