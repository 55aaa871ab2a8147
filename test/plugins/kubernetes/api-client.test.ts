import { rename, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Logger, type LogRecord } from '../../../src/log/logger.ts';
import { ApiAccessFiles } from '../../../src/plugins/kubernetes/api-access.ts';
import { ApiClient, type ApiRequest, MAX_ANSWER_BYTES } from '../../../src/plugins/kubernetes/api-client.ts';
import { ApiClients } from '../../../src/plugins/kubernetes/api-clients.ts';
import { TestAuthority } from '../../../src/testing/test-authority.ts';
import { freePort } from '../../harness/free-port.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../harness/temporary-folder.ts';
import { ApiStandIn, sendJson } from './api-stand-in.ts';

const resources = new AsyncDisposableStack();
const { signal } = new AbortController();
const GET: ApiRequest = { method: 'GET', path: '/api/v1/nodes/n', right: '"get" on "nodes"', expected: [404] };
const STATUS = { kind: 'Status', apiVersion: 'v1', status: 'Failure' };
let folder: TemporaryFolder;
let authority: TestAuthority;
let stranger: TestAuthority;
let api: ApiStandIn;
let records: LogRecord[];

beforeAll(async () => {
  folder = resources.use(await createTemporaryFolder());
  authority = resources.use(await TestAuthority.create());
  stranger = resources.use(await TestAuthority.create());
  api = resources.use(await ApiStandIn.start(authority));
});
afterAll(() => resources.disposeAsync());
beforeEach(() => {
  records = [];
  api.forget();
  api.answer = (response) => sendJson(response, 200, { kind: 'Node' });
});

type Fields = Parameters<ApiStandIn['writeKubeconfig']>[1];

async function clientOf(more: Fields = {}, deadlineMs?: number): Promise<ApiClient> {
  const kubeconfigPath = await api.writeKubeconfig(folder.join('kubeconfig'), more);
  const log = new Logger((record) => records.push(record));
  return new ApiClient(await ApiAccessFiles.open({ setting: 'kube_config_file', kubeconfigPath }, log), deadlineMs);
}

/** As the kubelet and operators do it. */
async function replaceFile(path: string, content: string): Promise<void> {
  await writeFile(`${path}.new`, content);
  await rename(`${path}.new`, path);
}

test('what was asked for, by one connection', async () => {
  using client = await clientOf();
  for (let count = 0; count < 3; count++) {
    expect(await client.send(GET, signal)).toEqual({ status: 200, value: { kind: 'Node' } });
  }
  expect(api.connections).toBe(1);
  expect(api.arrived[0]).toMatchObject({ method: 'GET', path: GET.path, authorization: 'Bearer secret', body: '' });
});

test('a body of any length, and a server with a path before it', async () => {
  using client = await clientOf({ cluster: { server: `https://localhost:${api.port}/clusters/7/` } });
  const value = { text: 'ü'.repeat(100_000) };
  await client.send({ ...GET, method: 'PATCH', body: { type: 'application/apply-patch+yaml', value } }, signal);
  expect(api.arrived[0]).toMatchObject({
    path: `/clusters/7${GET.path}`,
    contentType: 'application/apply-patch+yaml',
    body: JSON.stringify(value),
  });
});

test('a client certificate in place of a token', async () => {
  const { certificatePem, privateKeyPem } = await authority.issueLeaf({ commonName: 'server' });
  await writeFile(folder.join('client.pem'), certificatePem);
  await writeFile(folder.join('client.key'), privateKeyPem);
  using client = await clientOf({ user: { 'client-certificate': 'client.pem', 'client-key': 'client.key' } });
  await client.send(GET, signal);
  expect(api.arrived[0]).toMatchObject({ clientName: 'server', authorization: undefined });
});

describe('who the API server is', () => {
  const authorityOf = ({ certificatePem }: TestAuthority) => Buffer.from(certificatePem).toString('base64');

  test('a certificate of another authority is refused, and the token stays here', async () => {
    using client = await clientOf({ cluster: { 'certificate-authority-data': authorityOf(stranger) } });
    await expect(client.send(GET, signal)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(/none of the cluster's authorities signed.*certificate-authority/),
    });
    expect(api.arrived).toEqual([]);
  });

  test('a certificate of another name is refused, but for the name that the kubeconfig says', async () => {
    await using named = await ApiStandIn.start(authority, ['kubernetes']);
    named.answer = (response) => sendJson(response, 200, {});
    const server = `https://localhost:${named.port}`;
    using client = await clientOf({ cluster: { server } });
    await expect(client.send(GET, signal)).rejects.toThrow(/a certificate for another name.*tls-server-name/);
    expect(named.arrived).toEqual([]);
    using other = await clientOf({ cluster: { server, 'tls-server-name': 'kubernetes' } });
    expect((await other.send(GET, signal)).status).toBe(200);
  });

  test('whoever it is, where the kubeconfig wants it so, and the log says it', async () => {
    const cluster = { 'certificate-authority-data': authorityOf(stranger), 'insecure-skip-tls-verify': true };
    using client = await clientOf({ cluster });
    expect((await client.send(GET, signal)).status).toBe(200);
    expect(records).toMatchObject([{ level: 'warning', message: expect.stringMatching(/whoever answers/) }]);
  });
});

describe('what an answer means', () => {
  const failing = (status: number, message?: string) => () => {
    api.answer = (response) => {
      if (message === undefined) response.writeHead(status).end('<html>');
      else sendJson(response, status, { ...STATUS, message, code: status });
    };
  };

  test.each([
    [
      '401',
      failing(401, 'Unauthorized'),
      'FAILED_PRECONDITION',
      /does not know the token or certificate.*\(status 401\)/,
    ],
    [
      '403',
      failing(403, 'nodes "n" is\nforbidden'),
      'FAILED_PRECONDITION',
      /status 403\): nodes "n" is forbidden; allow it "get" on "nodes"/,
    ],
    ['404 of something else', failing(404), 'FAILED_PRECONDITION', /status 404: is it an API server/],
    ['422', failing(422, 'x'.repeat(5_000)), 'FAILED_PRECONDITION', /status 422: x{500}…$/],
    ['429', failing(429), 'UNAVAILABLE', /status 429/],
    ['500', failing(500, 'etcdserver: request timed out'), 'UNAVAILABLE', /status 500: etcdserver/],
    ['503 of something else', failing(503), 'UNAVAILABLE', /status 503/],
    [
      'a redirect',
      () => {
        api.answer = (response) => response.writeHead(302, { location: 'https://evil.example' }).end();
      },
      'FAILED_PRECONDITION',
      /redirects to "https:\/\/evil.example" \(status 302\), which is not followed/,
    ],
    [
      'a page',
      () => {
        api.answer = (response) => response.writeHead(200).end('<html>');
      },
      'FAILED_PRECONDITION',
      /something other than JSON/,
    ],
    [
      'more than any object has',
      () => {
        api.answer = (response) => response.writeHead(200, { 'content-length': MAX_ANSWER_BYTES + 1 }).end();
      },
      'TOO_LARGE',
      /more than 4194304 bytes/,
    ],
    [
      'more, without saying so',
      () => {
        api.answer = (response) => response.writeHead(200).end('x'.repeat(MAX_ANSWER_BYTES + 1));
      },
      'TOO_LARGE',
      /more than 4194304 bytes/,
    ],
    [
      'half an answer',
      () => {
        api.answer = (response) => {
          response.writeHead(200, { 'content-length': 100 }).write('{');
          response.destroy();
        };
      },
      /UNAVAILABLE|FAILED_PRECONDITION/,
      /gave no answer/,
    ],
    [
      'headers without end',
      () => {
        api.answer = (response) => response.writeHead(200, { x: 'y'.repeat(20_000) }).end('{}');
      },
      'FAILED_PRECONDITION',
      /gave no answer/,
    ],
  ])('%s', async (_what, prepare, code, message) => {
    prepare();
    using client = await clientOf();
    await expect(client.send(GET, signal)).rejects.toMatchObject({
      code: typeof code === 'string' ? code : expect.stringMatching(code),
      message: expect.stringMatching(message),
    });
    expect(api.arrived.map(({ path }) => path)).toEqual([GET.path]);
  });

  test('404 in the words of Kubernetes is an answer to who expects it', async () => {
    failing(404, 'nodes "n" not found')();
    using client = await clientOf();
    expect((await client.send(GET, signal)).status).toBe(404);
    await expect(client.send({ ...GET, expected: [] }, signal)).rejects.toThrow(/status 404: nodes "n" not found/);
  });

  test('nothing, in time', async () => {
    api.answer = () => {};
    using client = await clientOf({}, 300);
    await expect(client.send(GET, signal)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringMatching(/did not answer within 0.3 s/),
    });
  });

  test('nobody there', async () => {
    using client = await clientOf({ cluster: { server: `https://localhost:${await freePort()}` } });
    await expect(client.send(GET, signal)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  test('nothing, to a caller that has gone', async () => {
    using client = await clientOf();
    const { promise: asked, resolve } = Promise.withResolvers<void>();
    api.answer = () => resolve();
    const caller = new AbortController();
    const answer = client.send(GET, caller.signal);
    await asked;
    caller.abort();
    await expect(answer).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});

describe('credentials that are replaced', () => {
  test('are used from the next request on, by a connection of their own', async () => {
    await writeFile(folder.join('token'), 'first\n');
    using client = await clientOf({ user: { tokenFile: 'token' } });
    await client.send(GET, signal);
    await replaceFile(folder.join('token'), 'second\n');
    await client.send(GET, signal);
    expect(api.arrived.map(({ authorization }) => authorization)).toEqual(['Bearer first', 'Bearer second']);
    expect(api.connections).toBe(2);
  });

  test('are not used where they cannot be, and the log says so once', async () => {
    await writeFile(folder.join('token'), 'first');
    using client = await clientOf({ user: { tokenFile: 'token' } });
    await replaceFile(folder.join('token'), 'two\nlines');
    for (let count = 0; count < 2; count++) await client.send(GET, signal);
    expect(api.arrived.map(({ authorization }) => authorization)).toEqual(['Bearer first', 'Bearer first']);
    expect(records.map(({ message, fields }) => `${message}: ${fields.reason}`)).toEqual([
      expect.stringMatching(/goes on with the last credentials.*token" does not hold a token/),
    ]);
    await replaceFile(folder.join('token'), 'third');
    await client.send(GET, signal);
    expect(api.arrived[2]?.authorization).toBe('Bearer third');
  });
});

test('a client that is closed lets go of its connections, and finishes what is under way', async () => {
  const client = await clientOf();
  await client.send(GET, signal);
  const { promise: asked, resolve } = Promise.withResolvers<() => void>();
  api.answer = (response) => resolve(() => sendJson(response, 200, {}));
  const answer = client.send(GET, signal);
  const finish = await asked;
  client[Symbol.dispose]();
  finish();
  expect((await answer).status).toBe(200);
});

test('all kubeconfigs that cannot be used are told at once', async () => {
  await writeFile(folder.join('bad'), 'a: [');
  const wrongKey = await authority.issueLeaf();
  const { certificatePem } = await authority.issueLeaf();
  const user = {
    'client-certificate-data': Buffer.from(certificatePem).toString('base64'),
    'client-key-data': Buffer.from(wrongKey.privateKeyPem).toString('base64'),
  };
  await api.writeKubeconfig(folder.join('keys'), { user });
  await api.writeKubeconfig(folder.join('authority'), { cluster: { 'certificate-authority-data': 'AAAA' } });
  const kubeconfigs = new Map(
    ['missing', 'bad', 'keys', 'authority'].map((name) => [`clusters.${name}`, folder.join(name)]),
  );
  await expect(ApiClients.open(kubeconfigs, new Logger(() => {}))).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringMatching(
      /^clusters.missing: .* cannot be read: ENOENT\nclusters.bad: .*is no YAML, on line 1.*\nclusters.keys: the client-key is not that of the client-certificate\nclusters.authority: certificate-authority-data in .* has no certificate in PEM$/,
    ),
  });
});
