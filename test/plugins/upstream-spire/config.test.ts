import { expect, test } from 'vitest';
import { readConfigText } from '../../../src/config/read-config.ts';
import { upstreamSpireConfig } from '../../../src/plugins/upstream-spire/config.ts';
import { upstreamSpireManifest } from '../../../src/plugins/upstream-spire/manifest.ts';

const GOOD = 'server_address = "above"\nserver_port = "8081"\nworkload_api_socket = "/run/above/api.sock"\n';
const read = (text: string) => readConfigText(upstreamSpireConfig, text, { source: 'plugin_data' });

test.each([
  ['a port as text, as SPIRE has it', GOOD],
  ['a port as a number', GOOD.replace('"8081"', '8081')],
  ['a socket as an address', GOOD.replace('/run', 'unix:///run')],
])('%s', (_what, text) => {
  expect(read(text)).toEqual({
    server_address: 'above',
    server_port: 8081,
    workload_api_socket: '/run/above/api.sock',
    experimental: { require_pq_kem: false },
  });
});

test.each([
  ['no address', GOOD.replace(/^server_address.*\n/, ''), /server_address: must be the name or address/],
  ['an empty address', GOOD.replace('"above"', '""'), /server_address: is required/],
  ['no port', GOOD.replace(/server_port.*\n/, ''), /server_port: must be a port/],
  ['a port that is none', GOOD.replace('8081', '81x'), /server_port: must be a port/],
  ['a port beyond the last', GOOD.replace('8081', '65536'), /server_port: must be a port/],
  ['no socket', GOOD.replace(/workload_api_socket.*\n/, ''), /workload_api_socket: must be the path/],
  ['a relative socket', GOOD.replace('/run/above/', ''), /workload_api_socket: must be an absolute path/],
  ['a socket whose path is too long', GOOD.replace('above/', `${'x'.repeat(100)}/`), /must have 107 bytes at most/],
  ['a key that there is none', `${GOOD}server_name = "x"`, /server_name/],
  [
    'a pipe of Windows',
    `${GOOD}experimental { workload_api_named_pipe_name = "x" }`,
    /named pipes are for Windows: use workload_api_socket/,
  ],
])('%s is refused', (_what, text, message) => {
  expect(() => read(text)).toThrow(message);
});

test('only TLS with a post-quantum key exchange, where that is asked for', () => {
  expect(read(`${GOOD}experimental { require_pq_kem = true }`).experimental.require_pq_kem).toBe(true);
});

test('the plugin sees the folder of the socket', () => {
  expect(upstreamSpireManifest(GOOD)).toEqual({ user: 'host', network: 'all', readable: ['/run/above'] });
});
