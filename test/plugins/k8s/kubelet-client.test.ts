import { rename, rm, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Logger, type LogRecord } from '../../../src/log/logger.ts';
import { CredentialFiles } from '../../../src/plugins/k8s/credential-files.ts';
import { type CredentialPaths, readCredentials } from '../../../src/plugins/k8s/credentials.ts';
import { KubeletClient, MAX_POD_LIST_BYTES } from '../../../src/plugins/k8s/kubelet-client.ts';
import { TestAuthority } from '../../../src/testing/test-authority.ts';
import { OID } from '../../../src/x509/oids.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../harness/temporary-folder.ts';
import { type Answer, json, KubeletStandIn } from './kubelet-stand-in.ts';

const resources = new AsyncDisposableStack();
const signal = new AbortController().signal;
let folder: TemporaryFolder;
let authority: TestAuthority;
let stranger: TestAuthority;
let kubelet: KubeletStandIn;
let ca: string;
let token: string;
let records: LogRecord[];

beforeAll(async () => {
  folder = resources.use(await createTemporaryFolder());
  authority = resources.use(await TestAuthority.create());
  stranger = resources.use(await TestAuthority.create());
  const credential = await authority.issueLeaf({ dnsNames: ['localhost'], extendedKeyUsage: [OID.serverAuth] });
  kubelet = resources.use(await KubeletStandIn.start({ authority, credential }));
  ca = await authority.writeCertificate();
  token = folder.join('token');
});
afterAll(() => resources.disposeAsync());
beforeEach(async () => {
  kubelet.answer = json('the pods');
  kubelet.tokens = ['first'];
  kubelet.wantsCertificate = false;
  kubelet.authorizations.length = 0;
  kubelet.clients.length = 0;
  records = [];
  await replace(token, 'first\n');
});

interface ClientOptions {
  readonly paths?: Partial<CredentialPaths>;
  readonly nodeName?: string;
  readonly isVerified?: boolean;
  readonly port?: number;
  readonly intervalMs?: number;
}

async function clientOf(options: ClientOptions = {}): Promise<KubeletClient> {
  const { paths, nodeName, isVerified = true, port = kubelet.port, intervalMs = 60_000 } = options;
  const log = new Logger((record) => records.push(record), 'debug');
  const credentials = await CredentialFiles.open({ ca, token, client: undefined, ...paths }, intervalMs, log);
  return new KubeletClient({ kind: 'secure', port, nodeName, isVerified, credentials });
}

async function replace(path: string, content: string): Promise<void> {
  await writeFile(`${path}.new`, content);
  await rename(`${path}.new`, path);
}

const fetchText = async (client: KubeletClient) => String(await client.fetchPodList(signal));

describe('who the kubelet is', () => {
  test.each([
    ['a certificate of its CA, on this machine by whatever name', {}],
    ['a certificate of its CA, with the name of the node', { nodeName: 'localhost' }],
    ['any certificate, where it is not verified', { isVerified: false, nodeName: 'localhost' }],
  ])('%s', async (_what, options) => {
    expect(await fetchText(await clientOf(options))).toBe('the pods');
  });

  test('a certificate of another CA is refused, and the token stays here', async () => {
    const client = await clientOf({ paths: { ca: await stranger.writeCertificate() } });
    await expect(fetchText(client)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(/no authority of kubelet_ca_path signed.*skip_kubelet_verification/),
    });
    expect(kubelet.authorizations).toEqual([]);
  });

  test.each([
    ['for another name', { dnsNames: ['other.example'] }, /for another name than that of the node/],
    ['that has expired', { notAfter: new Date(Date.now() - 60_000) }, /not valid.*expired/],
    ['of a client', { extendedKeyUsage: [OID.clientAuth] }, /purpose/],
  ])('a certificate %s is refused, and the token stays here', async (_what, options, message) => {
    const credential = await authority.issueLeaf({ dnsNames: ['localhost'], ...options });
    await using other = await KubeletStandIn.start({ authority, credential });
    const client = await clientOf({ port: other.port, nodeName: 'localhost' });
    await expect(fetchText(client)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(message),
    });
    expect(other.authorizations).toEqual([]);
  });
});

describe('who asks', () => {
  test('a token of a file; one that was replaced is read when the old one counts no more', async () => {
    const client = await clientOf();
    expect(await fetchText(client)).toBe('the pods');
    kubelet.tokens = ['second'];
    await replace(token, 'second');
    expect(await fetchText(client)).toBe('the pods');
    expect(kubelet.authorizations).toEqual(['Bearer first', 'Bearer first', 'Bearer second']);
    expect(JSON.stringify(records)).not.toMatch(/Bearer|second/);
  });

  test('a token is read again once the interval is over', async () => {
    const client = await clientOf({ intervalMs: 0 });
    kubelet.tokens = ['first', 'second'];
    await fetchText(client);
    await replace(token, 'second');
    await fetchText(client);
    expect(kubelet.authorizations).toEqual(['Bearer first', 'Bearer second']);
  });

  test('files that cannot be used are logged once, and the last credentials go on', async () => {
    const client = await clientOf({ intervalMs: 0 });
    await rm(token);
    expect(await fetchText(client)).toBe('the pods');
    expect(await fetchText(client)).toBe('the pods');
    expect(records.map(({ level, message }) => [level, message])).toEqual([
      ['warning', 'goes on with the last credentials for the kubelet'],
    ]);
  });

  test('a certificate, which is loaded again once it is another', async () => {
    kubelet.tokens = [];
    kubelet.wantsCertificate = true;
    const files = await authority.writeCredential(await authority.issueLeaf({ commonName: 'agent' }), 'client');
    const client = { certificate: files.certificatePath, key: files.keyPath };
    const kubeletClient = await clientOf({ paths: { token: undefined, client }, intervalMs: 0 });
    expect(await fetchText(kubeletClient)).toBe('the pods');
    const next = await authority.issueLeaf({ commonName: 'agent' });
    await replace(client.key, next.privateKeyPem);
    expect(await fetchText(kubeletClient)).toBe('the pods'); // half replaced: the last pair goes on
    await replace(client.certificate, next.certificatePem);
    expect(await fetchText(kubeletClient)).toBe('the pods');
    expect(kubelet.clients[1]).toBe(kubelet.clients[0]);
    expect(kubelet.clients[2]).not.toBe(kubelet.clients[0]);
  });

  test('nobody, on the read-only port', async () => {
    await using inClear = await KubeletStandIn.start({ authority, credential: undefined });
    inClear.answer = json('in clear');
    expect(await fetchText(new KubeletClient({ kind: 'read-only', port: inClear.port }))).toBe('in clear');
    expect(inClear.authorizations).toEqual([undefined]);
  });
});

const status =
  (code: number, headers: Record<string, string> = {}): Answer =>
  (response) =>
    response.writeHead(code, headers).end('no');

describe('what it answers', () => {
  test.each([
    ['a token that it does not know', status(401), 'UNAUTHENTICATED', /does not know the token.*status 401/],
    ['a token that may not', status(403), 'FAILED_PRECONDITION', /allow it "get" on "nodes\/proxy" or "nodes\/pods"/],
    ['something that is no kubelet', status(404), 'FAILED_PRECONDITION', /is it a kubelet\?/],
    [
      'a redirect',
      status(302, { location: 'https://elsewhere.example/pods' }),
      'FAILED_PRECONDITION',
      /redirects to "https:\/\/elsewhere.example\/pods" \(status 302\), which is not followed/,
    ],
    ['too many requests', status(429), 'UNAVAILABLE', /status 429/],
    ['an error of its own', status(503), 'UNAVAILABLE', /status 503/],
    [
      'a length beyond the limit',
      (response) => response.writeHead(200, { 'content-length': MAX_POD_LIST_BYTES + 1 }).write('{'),
      'TOO_LARGE',
      /more than 33554432 bytes/,
    ],
    [
      'more than the limit, without a length',
      (response) => {
        response.on('error', () => {}); // the client hangs up
        response.writeHead(200);
        const chunk = Buffer.alloc(1024 * 1024, ' ');
        for (let sent = 0; sent <= MAX_POD_LIST_BYTES; sent += chunk.length) response.write(chunk);
      },
      'TOO_LARGE',
      /more than 33554432 bytes/,
    ],
    [
      'half an answer',
      (response) => {
        response.writeHead(200, { 'content-length': 100 });
        response.write('half', () => response.destroy());
      },
      'UNAVAILABLE',
      /gave no answer/,
    ],
    ['no HTTP', (response) => response.socket?.end('SSH-2.0-x\r\n'), 'FAILED_PRECONDITION', /gave no answer/],
    [
      'headers without an end',
      (response) => response.writeHead(200, { 'x-long': 'x'.repeat(20_000) }).end(),
      'FAILED_PRECONDITION',
      /gave no answer/,
    ],
  ] satisfies readonly (readonly [string, Answer, string, RegExp])[])('%s', async (_what, answer, code, message) => {
    kubelet.answer = answer;
    const client = await clientOf();
    await expect(fetchText(client)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  test('nothing, where none listens', async () => {
    const gone = await KubeletStandIn.start({ authority, credential: undefined });
    const { port } = gone;
    await gone[Symbol.asyncDispose]();
    const client = await clientOf({ port });
    await expect(fetchText(client)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('ECONNREFUSED'),
    });
  });

  test('whoever does not wait any longer is let go', async () => {
    const controller = new AbortController();
    kubelet.answer = () => controller.abort();
    const client = await clientOf();
    await expect(client.fetchPodList(controller.signal)).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});

describe('files', () => {
  const bad = async (name: string, content: string) => {
    await writeFile(folder.join(name), content);
    return folder.join(name);
  };

  test.each([
    ['no file', { token: '/nowhere/token' }, /token_path: "\/nowhere\/token" cannot be read: ENOENT/],
    ['an empty token', { token: () => bad('empty', ' \n') }, /token_path: .* does not hold a token/],
    ['a token of two lines', { token: () => bad('lines', 'a\r\nX-Evil: b') }, /does not hold a token/],
    ['no certificate of a CA', { ca: () => bad('ca', 'hello') }, /kubelet_ca_path: .* has no certificate in PEM/],
    [
      'a broken certificate of a CA',
      { ca: () => bad('broken', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n') },
      /kubelet_ca_path: .* does not hold certificates in PEM/,
    ],
    ['a large file', { token: () => bad('large', 'x'.repeat(1024 * 1024 + 1)) }, /larger than 1048576 bytes/],
  ])('%s is refused by its key', async (_what, given, message) => {
    const paths = await Promise.all(
      Object.entries(given).map(async ([key, path]) => [key, typeof path === 'string' ? path : await path()]),
    );
    const wanted: CredentialPaths = { ca, token, client: undefined, ...Object.fromEntries(paths) };
    await expect(readCredentials(wanted)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(message),
    });
  });

  test('a key of another certificate is refused, and a key that is none, without a word of what it holds', async () => {
    const one = await authority.writeCredential(await authority.issueLeaf(), 'one');
    const two = await authority.writeCredential(await authority.issueLeaf(), 'two');
    const read = (key: string) =>
      readCredentials({ ca, token: undefined, client: { certificate: one.certificatePath, key } });
    await expect(read(two.keyPath)).rejects.toThrow(/private_key_path: the key in .* is not that of the first/);
    await expect(read(await bad('secret', 'secret words'))).rejects.toThrow(/private key in PEM, not encrypted$/);
  });
});
