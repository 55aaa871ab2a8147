import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, expect, onTestFinished, test } from 'vitest';
import { PageServer } from '../../src/http/page-server.ts';
import { listenInClear } from '../../src/http/tcp-listener.ts';
import { Logger, type LogRecord } from '../../src/log/logger.ts';

const BODY = 'x 1\n';
const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

async function serve(options: { render?: () => Promise<string>; timeLimitMs?: number } = {}) {
  const records: LogRecord[] = [];
  const log = new Logger((record) => records.push(record), 'debug');
  const { render = async () => BODY, ...limits } = options;
  const server = new PageServer({
    pages: new Map([['/metrics', async () => ({ status: 200, contentType: CONTENT_TYPE, text: await render() })]]),
    directions: 'metrics are at /metrics',
    log,
    ...limits,
  });
  const accepted: Socket[] = [];
  const listener = await listenInClear({
    host: '127.0.0.1',
    port: 0,
    setting: 'telemetry.Prometheus',
    log,
    onConnection: (socket) => {
      accepted.push(socket);
      server.accept(socket);
    },
  });
  onTestFinished(async () => {
    server[Symbol.dispose]();
    await listener[Symbol.asyncDispose]();
  });
  return { port: listener.port, url: `http://127.0.0.1:${listener.port}`, records, accepted };
}

/** Sends bytes as they are. @returns all that comes back until the other side ends. */
async function send(port: number, bytes: string): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1' });
  socket.write(bytes);
  return await textOf(socket);
}

async function textOf(socket: Socket): Promise<string> {
  return await text(socket).catch((error: NodeJS.ErrnoException) => `${error.code}`);
}

const NO_REUSE = { headers: { connection: 'close' } };

describe('an endpoint with one page', () => {
  test('answers GET with the text, HEAD without', async () => {
    const { url } = await serve();
    const answer = await fetch(`${url}/metrics?x=1`, NO_REUSE);
    expect([answer.status, answer.headers.get('content-type'), await answer.text()]).toEqual([200, CONTENT_TYPE, BODY]);
    const head = await fetch(`${url}/metrics`, { method: 'HEAD', ...NO_REUSE });
    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, `${BODY.length}`, '']);
  });

  test.each([
    ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', /^HTTP\/1\.1 404 .*metrics are at \/metrics\n/s],
    ['GET /metrics/.. HTTP/1.1\r\nHost: x\r\n\r\n', /^HTTP\/1\.1 404 /],
    ['GET http://x/metrics HTTP/1.1\r\nHost: x\r\n\r\n', /^HTTP\/1\.1 404 /],
    ['POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n', /^HTTP\/1\.1 405 .*\r\nAllow: GET, HEAD\r\n/s],
    ['OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n', /^HTTP\/1\.1 404 /],
    ['CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n', /^$/],
    ['GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody', /^HTTP\/1\.1 413 /],
    ['GET /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n', /^HTTP\/1\.1 413 /],
    ['GET /metrics HTTP/1.1\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['nonsense\r\n\r\n', /^HTTP\/1\.1 400 /],
    [`GET /metrics HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, /^(HTTP\/1\.1 431 |ECONNRESET)/],
    [`GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, /^(HTTP\/1\.1 431 |ECONNRESET)/],
  ])('refuses %j', async (request, answer) => {
    const { port, url } = await serve();
    expect(await send(port, request)).toMatch(answer);
    expect((await fetch(`${url}/metrics`, NO_REUSE)).status).toBe(200);
  });

  test('says nothing of what went wrong inside, but in the log', async () => {
    const { url, records } = await serve({ render: async () => Promise.reject(new Error('a secret')) });
    const answer = await fetch(`${url}/metrics`, NO_REUSE);
    expect([answer.status, await answer.text()]).toEqual([500, '']);
    expect(records).toContainEqual(expect.objectContaining({ level: 'error', message: 'a page was not written' }));
  });
});

describe('a slow client is cut off', () => {
  test.each([
    ['that says nothing', '', /^$/],
    ['that does not come to an end', 'GET /metrics HTTP/1.1\r\nHost: x\r\n', /^$/],
    ['that stays after its answer', 'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n', /^HTTP\/1\.1 200 .*x 1\n$/s],
  ])('%s', async (_what, bytes, answer) => {
    const { port } = await serve({ timeLimitMs: 200 });
    expect(await send(port, bytes)).toMatch(answer);
  });

  test('that does not read its answer', async () => {
    const { port, accepted } = await serve({ timeLimitMs: 200, render: async () => 'x'.repeat(64 * 1024 * 1024) });
    const socket = connect({ port, host: '127.0.0.1' });
    socket.on('error', () => {});
    socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(socket, 'connect');
    await expect.poll(() => accepted[0]?.destroyed).toBe(true);
    socket.resume();
    await once(socket, 'close');
    expect(socket.bytesRead).toBeLessThan(64 * 1024 * 1024);
  });

  test('and many connections leave room for those that come later', async () => {
    const { port, url } = await serve({ timeLimitMs: 300 });
    const idle = Array.from({ length: 100 }, () => connect({ port, host: '127.0.0.1' }));
    await Promise.all(idle.map(textOf));
    expect((await fetch(`${url}/metrics`, NO_REUSE)).status).toBe(200);
  });
});

test('a port that is taken is refused with what to do', async () => {
  const { port } = await serve();
  const log = new Logger(() => {});
  await expect(
    listenInClear({ host: '127.0.0.1', port, setting: 'telemetry.Prometheus', log, onConnection: () => {} }),
  ).rejects.toMatchObject({
    code: 'SOCKET_UNUSABLE',
    message: `telemetry.Prometheus: cannot listen on 127.0.0.1 port ${port}: it is in use, stop what listens there or choose another port`,
  });
});
