import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import { createServer as createSocketServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { EngineClient } from '../../../src/plugins/docker/engine-client.ts';
import { inspectContainer } from '../../../src/plugins/docker/inspect-container.ts';
import { selectorsOf } from '../../../src/plugins/docker/selectors.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../harness/temporary-folder.ts';

const id = '0123456789abcdef'.repeat(4);
const image = `sha256:${'ab'.repeat(32)}`;
const { signal } = new AbortController();
const told = { Id: id, Image: image, State: { Pid: 42 }, Config: { Image: 'web:1', Labels: { a: 'b' }, Env: ['X=y'] } };

let folder: TemporaryFolder;
let stack: AsyncDisposableStack;
let path: string;
beforeEach(async () => {
  stack = new AsyncDisposableStack();
  folder = stack.use(await createTemporaryFolder());
  path = folder.join('engine.sock');
});
afterEach(() => stack.disposeAsync());

async function listen(server: Server): Promise<void> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket.on('close', () => sockets.delete(socket))));
  await once(server.listen(path), 'listening');
  stack.defer(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
}

/** Somebody who answers in place of Docker. */
async function answer(respond: (response: ServerResponse, url: string) => void): Promise<void> {
  await listen(createServer((request, response) => respond(response, request.url ?? '')));
}

function client(more: { readonly deadlineMs?: number; readonly version?: string } = {}): EngineClient {
  return stack.use(new EngineClient({ name: 'Docker', socketPath: path, key: 'docker_socket_path', ...more }));
}

const inspect = (engine = client()) => inspectContainer(engine, id, signal);
const json = (value: unknown) => (response: ServerResponse) => void response.end(JSON.stringify(value));

describe('an answer', () => {
  test('is what the container is; connections are kept, and made anew when the other side closed them', async () => {
    const urls: string[] = [];
    const sockets = new Set<unknown>();
    await answer((response, url) => {
      urls.push(url);
      sockets.add(response.socket);
      json(told)(response);
    });
    const engine = client({ version: 'v1.41' });
    for (let run = 0; run < 3; run++) expect(await inspect(engine)).toEqual(told);
    expect(sockets.size).toBe(1);
    for (const socket of sockets) (socket as Socket).destroy();
    expect(await inspect(engine)).toEqual(told);
    expect(new Set(urls)).toEqual(new Set([`/v1.41/containers/${id}/json`]));
  });

  test('without labels and environment is one too', async () => {
    await answer(json({ ...told, Config: { Image: '', Labels: null, Env: null } }));
    expect(selectorsOf((await inspect()) ?? expect.fail())).toEqual([`image_config_digest:${image}`]);
  });

  test('that there is no such container is no error', async () => {
    await answer((response) => void response.writeHead(404).end('{"message":"No such container"}'));
    expect(await inspect()).toBeUndefined();
  });
});

test.each([
  ['an ID without its algorithm', { Image: image.slice(7) }, image],
  ['no digest', { Image: 'web:1' }, undefined],
  ['none', { Image: null }, undefined],
  ['another digest, as containerd keeps the images', { ImageManifestDescriptor: { digest: image } }, undefined],
])('an image with %s', async (_what, changes, digest) => {
  await answer(json({ ...told, ...changes }));
  const digests = selectorsOf((await inspect()) ?? expect.fail()).filter((value) => value.startsWith('image_config'));
  expect(digests).toEqual(digest === undefined ? [] : [`image_config_digest:${digest}`]);
});

describe('what is no answer is refused', () => {
  const refused = async (message: string | RegExp, code = 'UNAVAILABLE', engine = client()) => {
    await expect(inspect(engine)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  };

  test.each([
    ['nothing', '', /what does not describe a container: see it is no JSON object/],
    ['half of it', JSON.stringify(told).slice(0, -5), /no JSON object/],
    ['a list', '[]', /does not describe a container/],
    ['text for a process', JSON.stringify({ ...told, State: { Pid: '1' } }), /see State\.Pid/],
    ['an ID that leads elsewhere', JSON.stringify({ ...told, Id: '../../info' }), /see Id/],
    ['labels that are no texts', JSON.stringify({ ...told, Config: { Labels: { a: {} } } }), /see Config\.Labels\.a/],
    ['no container', JSON.stringify({ Id: id }), /see State/],
    ['a nest without an end', '['.repeat(2_000_000), /no JSON object/],
  ])('%s', async (_what, body, message) => {
    await answer((response) => void response.end(body));
    await refused(message);
  });

  test('an error of Docker is told, and not more of it than one reads', async () => {
    await answer(
      (response) => void response.writeHead(500).end(JSON.stringify({ message: `broken\n${'x'.repeat(100_000)}` })),
    );
    const error: unknown = await inspect().catch((reason: unknown) => reason);
    expect(String(error)).toMatch(/answered with status 500: "broken\\nx+"$/);
    expect(String(error).length).toBeLessThan(600);
  });

  test('more than a container can have', async () => {
    await answer((response) => {
      const more = () => response.write(Buffer.alloc(65_536, 'a')) && setImmediate(more);
      response.on('drain', more);
      more();
    });
    await refused(/answered with more than 4194304 bytes/, 'TOO_LARGE');
  });

  test('headers without an end', async () => {
    await listen(createSocketServer((socket) => void socket.write(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(100_000)}`)));
    await refused(/does not speak HTTP as Docker does/);
  });

  test('another protocol', async () => {
    await listen(createSocketServer((socket) => void socket.end('SSH-2.0-OpenSSH\r\n')));
    await refused(/does not speak HTTP as Docker does: set docker_socket_path/);
  });

  test('an end before the whole of it', async () => {
    await listen(
      createSocketServer((socket) =>
        socket.on('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{')),
      ),
    );
    await refused(/failed with ECONNRESET/);
  });

  test('silence, and a word now and then', async () => {
    await answer((response) => {
      const timer = setInterval(() => response.write(' '), 20);
      response.on('close', () => clearInterval(timer));
    });
    await refused(
      /has not answered for 0\.2 s: see whether it hangs/,
      'DEADLINE_EXCEEDED',
      client({ deadlineMs: 200 }),
    );
  });

  test('a redirection, which would lead elsewhere', async () => {
    await answer((response) => void response.writeHead(302, { location: 'http://192.0.2.1/' }).end());
    await refused(/answered with status 302/);
  });
});

describe('where nobody answers, the sentence says what to do', () => {
  test('no socket', async () => {
    await expect(inspect()).rejects.toThrow(`Docker has no socket at ${path}: start Docker, or set docker_socket_path`);
  });

  test('a socket that was left behind', async () => {
    await listen(createSocketServer());
    const left = folder.join('left.sock');
    const server = createSocketServer();
    await once(server.listen(left), 'listening');
    await import('node:fs/promises').then(({ link }) => link(left, folder.join('kept.sock')));
    await new Promise((resolve) => server.close(resolve));
    path = folder.join('kept.sock');
    await expect(inspect()).rejects.toThrow(`nobody listens at ${path}: start Docker`);
  });

  test('Podman is started in its own way', async () => {
    const options = { name: 'Podman', socketPath: path, key: 'podman_socket_path' };
    using podman = new EngineClient(options);
    await expect(inspect(podman)).rejects.toThrow(
      'start "systemctl enable --now podman.socket", or set podman_socket_path',
    );
  });

  test('a file that is no socket', async () => {
    await writeFile(path, '');
    await expect(inspect()).rejects.toThrow(/nobody listens at|is no socket/);
  });
});

test('who does not wait any more ends the request', async () => {
  const closed = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  await answer((response) => {
    response.on('close', () => closed.resolve());
    asked.resolve();
  });
  const abort = new AbortController();
  const asking = inspectContainer(client(), id, abort.signal);
  const refusal = expect(asking).rejects.toMatchObject({ code: 'CANCELLED' });
  await asked.promise;
  abort.abort();
  await refusal;
  await closed.promise;
});
