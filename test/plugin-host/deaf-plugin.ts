import { createServer, type Http2Session, type ServerHttp2Stream } from 'node:http2';
import { HealthCheckResponse, HealthCheckResponse_ServingStatus } from '../../src/gen/grpc/health/v1/health.ts';
import { InitResponse } from '../../src/gen/spire/service/private/init/v1/init.ts';

// A bundle publisher of plain HTTP/2, well until it has started. Then, as its argument says, it leaves unread what comes by
// the connection of streams (`streams`), or all requests that are longer than a health check's (`requests`).
const [deafness = ''] = process.argv.slice(2);

const answers: Readonly<Record<string, Uint8Array>> = {
  '/grpc.health.v1.Health/Check': HealthCheckResponse.encode({
    status: HealthCheckResponse_ServingStatus.SERVING,
  }).finish(),
  '/spire.service.private.init.v1.Init/Init': InitResponse.encode({
    pluginServiceNames: ['spire.plugin.server.bundlepublisher.v1.BundlePublisher'],
  }).finish(),
  '/spire.service.private.init.v1.Init/Deinit': new Uint8Array(0),
  '/spire.plugin.server.bundlepublisher.v1.BundlePublisher/PublishBundle': new Uint8Array(0),
};
const ofStreams = new WeakSet<Http2Session>();
let isStarted = false;

function answer(stream: ServerHttp2Stream, message: Uint8Array): void {
  const header = Buffer.alloc(5);
  header.writeUInt32BE(message.length, 1);
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.end(Buffer.concat([header, message]));
}

const server = createServer({ settings: deafness === 'requests' ? { initialWindowSize: 200 } : {} });
server.on('stream', (stream, headers) => {
  stream.on('error', () => {});
  const path = headers[':path'] ?? '';
  const { session } = stream;
  if (session === undefined) return;
  if (path.startsWith('/plugin.')) ofStreams.add(session);
  const message = answers[path];
  if (message === undefined) {
    if (path.endsWith('/StartStream'))
      stream.resume(); // the broker's, which stays open
    else
      stream.respond(
        { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '12' },
        {
          endStream: true,
        },
      );
    return;
  }
  if (isStarted && deafness === 'streams' && ofStreams.has(session)) return;
  if (path.endsWith('/PublishBundle') && deafness === 'requests') return;
  stream.resume();
  stream.on('end', () => {
    isStarted ||= path.endsWith('/Init');
    answer(stream, message);
  });
});
server.on('sessionError', () => {});
const path = `${process.env.PLUGIN_UNIX_SOCKET_DIR}/deaf`;
server.listen(path, () => process.stdout.write(`1|1|unix|${path}|grpc|\n`));
