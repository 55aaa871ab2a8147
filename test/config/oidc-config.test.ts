import { writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { type OidcConfig, readOidcConfig } from '../../src/config/oidc-config.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

async function read(text: string, env?: Readonly<Record<string, string>>): Promise<OidcConfig> {
  await using folder = await createTemporaryFolder();
  const path = folder.join('oidc.conf');
  await writeFile(path, text);
  return readOidcConfig({ path, ...(env === undefined ? {} : { env }) });
}

const DOMAINS = 'domains = ["oidc.example.org"]';
const SERVER = 'server_api { address = "unix:///run/api.sock" }';
const CLEAR = 'insecure_addr = ":8080"';

test('a configuration of SPIRE’s provider is read whole', async () => {
  const config = await read(
    `log_level = "DEBUG" log_format = "JSON" log_path = "/var/log/oidc" log_requests = true
    domains = ["Oidc.example.org", "xn--bcher-kva.example"]
    jwt_issuer = "https://issuer.example.org/prod" jwks_uri = "https://keys.example.org/keys"
    server_path_prefix = "prod//one/" set_key_use = true
    acme { email = "\${MAIL}" tos_accepted = true directory_url = "https://acme.example.org/dir" cache_dir = "" }
    workload_api { socket_path = "/run/agent.sock" trust_domain = "example.org" poll_interval = "3s" }
    health_checks { bind_port = 8100 ready_path = "/r" live_path = "/l" }`,
    { MAIL: 'a@example.org' },
  );
  const domains = ['oidc.example.org', 'xn--bcher-kva.example'];
  expect(config).toEqual({
    log: { file: '/var/log/oidc', level: 'debug', format: 'json', sourceLocation: false },
    warnings: [],
    logRequests: true,
    domains,
    issuer: 'https://issuer.example.org/prod',
    jwksUri: 'https://keys.example.org/keys',
    pathPrefix: '/prod/one',
    setKeyUse: true,
    listen: {
      type: 'acme',
      address: { host: '', port: 443 },
      acme: {
        directoryUrl: 'https://acme.example.org/dir',
        domainNames: domains,
        email: 'a@example.org',
        tosAccepted: true,
      },
      folder: undefined,
    },
    source: { type: 'workload', socketPath: '/run/agent.sock', trustDomain: 'example.org', pollSeconds: 3 },
    healthChecks: { listenerEnabled: true, bindAddress: '0.0.0.0', bindPort: 8100, livePath: '/l', readyPath: '/r' },
  });
});

test('what is left out has SPIRE’s default', async () => {
  expect(await read(`${DOMAINS} ${SERVER} ${CLEAR} allow_insecure_scheme = true`)).toMatchObject({
    warnings: [expect.stringMatching(/^allow_insecure_scheme: /)],
    pathPrefix: '',
    listen: { type: 'clear', address: { host: '', port: 8080 }, scheme: 'http' },
    source: { type: 'server', socketPath: '/run/api.sock', pollSeconds: 10 },
    healthChecks: { listenerEnabled: false },
  });
  const files = 'serving_cert_file { cert_file_path = "c" key_file_path = "k" addr = "[::1]:8443" }';
  expect(await read(`${DOMAINS} file { path = "b.json" } ${files}`)).toMatchObject({
    listen: {
      type: 'files',
      address: { host: '::1', port: 8443 },
      files: { certFilePath: 'c', keyFilePath: 'k', fileSyncIntervalSeconds: 60 },
    },
    source: { type: 'file', path: 'b.json' },
  });
  expect(await read(`${DOMAINS} ${SERVER} acme { email = "a@b.c" tos_accepted = true }`)).toMatchObject({
    listen: { folder: './.acme-cache', acme: { directoryUrl: 'https://acme-v02.api.letsencrypt.org/directory' } },
  });
});

test.each([
  ['no domain', `${SERVER} ${CLEAR}`, /domains/],
  ['an empty list of domains', `domains = [] ${SERVER} ${CLEAR}`, /must name one domain at least/],
  ['a domain with a port', `domains = ["a.org:443"] ${SERVER} ${CLEAR}`, /domains\[0\]: must be a domain name/],
  ['a domain in other letters', `domains = ["bücher.example"] ${SERVER} ${CLEAR}`, /in punycode/],
  ['no source', `${DOMAINS} ${CLEAR}`, /exactly one of the blocks server_api, workload_api and file/],
  ['two sources', `${DOMAINS} ${SERVER} file { path = "x" } ${CLEAR}`, /exactly one of the blocks/],
  [
    'no way to listen',
    `${DOMAINS} ${SERVER}`,
    /exactly one of acme, serving_cert_file, listen_socket_path and insecure_addr/,
  ],
  ['two ways to listen', `${DOMAINS} ${SERVER} ${CLEAR} listen_socket_path = "/s"`, /exactly one of acme/],
  [
    'a TCP address of a server',
    `${DOMAINS} server_api { address = "dns:///a:1" } ${CLEAR}`,
    /must be the path of a Unix socket/,
  ],
  [
    'terms that are not accepted',
    `${DOMAINS} ${SERVER} acme { email = "a@b.c" tos_accepted = false }`,
    /must be true: read the terms/,
  ],
  ['no address', `${DOMAINS} ${SERVER} insecure_addr = "8080"`, /must be an address and a port/],
  ['a port too high', `${DOMAINS} ${SERVER} insecure_addr = ":65536"`, /must be an address and a port/],
  ['an issuer without a scheme', `${DOMAINS} ${SERVER} ${CLEAR} jwt_issuer = "issuer"`, /must be a URL/],
  ['a prefix with a query', `${DOMAINS} ${SERVER} ${CLEAR} server_path_prefix = "/a?b"`, /must be the path of a URL/],
  [
    'a named pipe',
    `${DOMAINS} ${SERVER} ${CLEAR} experimental { listen_named_pipe_name = "p" }`,
    /is for Windows: use a Unix socket/,
  ],
  [
    'http where TLS is',
    `${DOMAINS} ${SERVER} acme { email = "a@b.c" tos_accepted = true } allow_insecure_scheme = true`,
    /allow_insecure_scheme is for/,
  ],
  ['an unknown key', `${DOMAINS} ${SERVER} ${CLEAR} domain = "x"`, /domain/],
])('%s is refused', async (_what, text, message) => {
  await expect(read(text)).rejects.toThrow(message);
});
