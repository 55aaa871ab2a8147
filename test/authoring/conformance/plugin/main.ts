import { rmSync } from 'node:fs';
import { createServer as createHttp2Server } from 'node:http2';
import { createServer, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { Logger } from '../../../../src/log/logger.ts';
import { createOneTimeIdentity } from '../../../../src/rpc/auto-mtls.ts';
import { formatHandshake } from '../../../../src/rpc/handshake.ts';
import { RpcServer } from '../../../../src/rpc/server.ts';
import { kindServices } from './kinds.ts';
import { layerServices } from './layer.ts';
import { PluginState } from './state.ts';

// A plugin that is as it should be, or has the one defect that its second argument names. The first is its kind, the
// third a path for what outlives its process.

const [kind = '', defect = '', file = ''] = process.argv.slice(2);
const COOKIES = {
  notifier: 'Notifier',
  'key-manager': 'KeyManager',
  'workload-attestor': 'WorkloadAttestor',
  'svid-store': 'SVIDStore',
  'bundle-publisher': 'BundlePublisher',
  'credential-composer': 'CredentialComposer',
  'upstream-authority': 'UpstreamAuthority',
  'server-node-attestor': 'NodeAttestor',
  'agent-node-attestor': 'NodeAttestor',
} as const;
const cookie = Object.entries(COOKIES).find(([name]) => name === kind)?.[1] ?? '';
const state = new PluginState(defect, file);
const { PLUGIN_UNIX_SOCKET_DIR: folder = '', PLUGIN_PROTOCOL_VERSIONS: versions = '' } = process.env;

requireHost();
if (!state.has('interrupt')) process.on('SIGINT', () => {});
if (state.has('noise')) process.stdout.write('Starting up...\n');
if (state.has('silent')) await new Promise(() => setInterval(() => {}, 1_000));
if (state.has('dies')) process.exit(4);
if (state.has('multiplex-dies') && process.env.PLUGIN_MULTIPLEX_GRPC) process.exit(5);
if (state.has('log-number'))
  process.stderr.write('{"@level":"info","@message":1,"@timestamp":"2026-01-02T03:04:05.000000Z"}\n');
const time = state.has('log-milliseconds') ? '2026-01-02T03:04:05.000Z' : '2026-01-02T03:04:05.000000Z';
process.stderr.write(`${JSON.stringify({ '@level': 'info', '@message': 'started', '@timestamp': time })}\n`);
if (state.has('log-level')) process.stderr.write(`{"@level":"loud","@message":"x","@timestamp":"${time}"}\n`);
if (state.has('log-long')) process.stderr.write(`${'x'.repeat(70_000)}\n`);

const path = join(state.has('socket-elsewhere') ? dirname(folder) : folder, 'defective');
const end = () => {
  if (!state.has('leaves-socket')) rmSync(path, { force: true });
  process.exit(state.has('ends-with-error') ? 1 : 0);
};
const own = kindServices(kind, state);
const rpc = RpcServer.create({
  log: new Logger(() => {}, 'error'),
  services: [...own, ...layerServices(state, own, end)],
  ...(state.has('small-messages') ? { maxRequestBytes: 1024 * 1024 } : {}),
});

const listener = createServer(acceptorOf());
if (state.has('late-listen')) {
  sayHandshake();
  setTimeout(() => listener.listen(path), 1_000);
} else listener.listen(path, sayHandshake);

function acceptorOf(): (socket: Socket) => void {
  if (state.has('no-grpc')) return (socket) => socket.destroy();
  if (!state.has('authority')) return (socket) => void rpc.accept(socket, { kind: 'plugin' });
  const picky = createHttp2Server().on('stream', (stream, headers) => {
    const status = headers[':authority'] === 'unused' ? '7' : '0';
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': status }));
    stream.end(status === '0' ? Buffer.of(0, 0, 0, 0, 2, 0x08, 1) : undefined);
  });
  return (socket) => void picky.emit('connection', socket);
}

function sayHandshake(): void {
  const asked = process.env.PLUGIN_CLIENT_CERT !== undefined;
  const hasCertificate = state.has('certificate') || (asked && state.has('mtls-in-clear'));
  const line = formatHandshake({
    coreVersion: 1,
    protocolVersion: state.has('any-version') ? Number(versions) : 1,
    network: 'unix',
    address: path,
    protocol: state.has('netrpc') ? 'netrpc' : 'grpc',
    ...(hasCertificate ? { certificate: createOneTimeIdentity().certificate } : {}),
    ...(state.has('seventh-field') || process.env.PLUGIN_MULTIPLEX_GRPC ? { multiplexed: false } : {}),
  });
  process.stdout.write(`${line}\n`);
  if (state.has('floods-stderr')) setInterval(() => process.stderr.write('x'.repeat(60_000)), 1);
}

function requireHost(): void {
  const value = process.env[cookie];
  const isThere = state.has('any-cookie') || (state.has('any-value') ? value !== undefined : value === cookie);
  const isRefusal = state.has('refuses-with-0');
  if (!isThere) process.exit(isRefusal ? 0 : 1);
  if (versions !== '1' && !state.has('any-version')) process.exit(1);
}
