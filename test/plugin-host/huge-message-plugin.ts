import { createServer, type ServerHttp2Stream } from 'node:http2';
import { HealthCheckResponse, HealthCheckResponse_ServingStatus } from '../../src/gen/grpc/health/v1/health.ts';
import { InitResponse } from '../../src/gen/spire/service/private/init/v1/init.ts';

// An upstream authority of plain HTTP/2 that answers with one message of 1 GiB: to a mint, which is a stream, to Deinit, which is a
// unary call, and on the stream that is for what it prints.
const GIB = 2 ** 30;
const CHUNK = Buffer.alloc(1024 * 1024);

const answers: Readonly<Record<string, Uint8Array>> = {
  '/grpc.health.v1.Health/Check': HealthCheckResponse.encode({
    status: HealthCheckResponse_ServingStatus.SERVING,
  }).finish(),
  '/spire.service.private.init.v1.Init/Init': InitResponse.encode({
    pluginServiceNames: ['spire.plugin.server.upstreamauthority.v1.UpstreamAuthority'],
  }).finish(),
};

function begin(stream: ServerHttp2Stream, length: number): void {
  const header = Buffer.alloc(5);
  header.writeUInt32BE(length, 1);
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.write(header);
}

async function answerHuge(stream: ServerHttp2Stream): Promise<void> {
  begin(stream, GIB);
  for (let sent = 0; sent < GIB && !stream.destroyed; sent += CHUNK.length) {
    await new Promise((resolve) => {
      stream.once('close', resolve);
      stream.write(CHUNK, resolve);
    });
  }
  if (!stream.destroyed) stream.end();
}

const server = createServer();
server.on('stream', (stream, headers) => {
  stream.on('error', () => {});
  stream.setMaxListeners(0);
  stream.resume();
  const path = headers[':path'] ?? '';
  const message = answers[path];
  if (path.endsWith('/StartStream')) return; // the broker's, which stays open
  if (message === undefined) return void answerHuge(stream);
  stream.on('end', () => {
    begin(stream, message.length);
    stream.end(message);
  });
});
server.on('sessionError', () => {});
const path = `${process.env.PLUGIN_UNIX_SOCKET_DIR}/huge`;
server.listen(path, () => process.stdout.write(`1|1|unix|${path}|grpc|\n`));
