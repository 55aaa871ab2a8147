import { isAbsolute } from 'node:path';
import { domainToASCII } from 'node:url';
import { z } from 'zod';
import { SpiffeError } from '../spiffe/error.ts';
import { parseTrustDomain, type TrustDomain } from '../spiffe/trust-domain.ts';
import { readOrRefuse } from './config-file.ts';
import { expandEnv } from './expand-env.ts';
import { type AcmeConfig, LETS_ENCRYPT, type ServingCertFileConfig } from './federation-config.ts';
import { choice, duration, flag, optionalText, orUnset, parsedBy, refused, requiredText, webUrl } from './fields.ts';
import type { HealthChecksConfig } from './health-config.ts';
import { type LogConfig, logFields, toLogConfig } from './log-config.ts';
import { readConfigText } from './read-config.ts';

/** What `oidc-discovery` does: the file of SPIRE's OIDC discovery provider. Source: inventory C160 to C177. */
export interface OidcConfig {
  readonly log: LogConfig;
  readonly warnings: readonly string[];
  readonly logRequests: boolean;
  /** Names that the documents may be asked for by, in lower case. */
  readonly domains: readonly string[];
  /** In the place of the name that was asked for. */
  readonly issuer: string | undefined;
  readonly jwksUri: string | undefined;
  /** Before the paths of both documents: empty, or `/…` without a slash at its end. */
  readonly pathPrefix: string;
  /** Whether keys say `use: sig`. */
  readonly setKeyUse: boolean;
  readonly listen: OidcListen;
  readonly source: OidcSource;
  readonly healthChecks: HealthChecksConfig;
}

export interface TcpAddress {
  /** Empty for every address. */
  readonly host: string;
  readonly port: number;
}

export type OidcListen =
  /** `scheme` is what the discovery document calls the keys by, without `jwks_uri`. */
  | { readonly type: 'clear'; readonly address: TcpAddress; readonly scheme: 'http' | 'https' }
  | { readonly type: 'socket'; readonly path: string; readonly scheme: 'http' | 'https' }
  | { readonly type: 'files'; readonly address: TcpAddress; readonly files: ServingCertFileConfig }
  | {
      readonly type: 'acme';
      readonly address: TcpAddress;
      readonly acme: AcmeConfig;
      readonly folder: string | undefined;
    };

export type OidcSource =
  | { readonly type: 'server'; readonly socketPath: string; readonly pollSeconds: number }
  | {
      readonly type: 'workload';
      readonly socketPath: string;
      readonly trustDomain: TrustDomain;
      readonly pollSeconds: number;
    }
  | { readonly type: 'file'; readonly path: string; readonly pollSeconds: number };

const WINDOWS_PIPE = refused('is for Windows: use a Unix socket');
const POLL_SECONDS = 10;
const FILE_SYNC_SECONDS = 60;
const HTTPS_PORT = 443;
const HEALTH_PORT = 8008;
const IN_CLEAR =
  'allow_insecure_scheme: relying parties are told to fetch keys in clear, and whoever is on their way may change them';

const pollInterval = orUnset(duration).transform((seconds) => seconds || POLL_SECONDS);
const onlyWindows = z.strictObject({ named_pipe_name: WINDOWS_PIPE }).optional();

const tcpAddress = parsedBy(parseTcpAddress);

const domain = z.string().transform((text, ctx) => {
  const name = text.toLowerCase();
  if (/^[a-z0-9.-]{1,253}$/.test(name) && domainToASCII(name) === name) return name;
  ctx.addIssue('must be a domain name, in punycode where it has letters of other alphabets, and without a port');
  return z.NEVER;
});

const acme = z.strictObject({
  directory_url: optionalText,
  email: requiredText,
  tos_accepted: z.literal(true, { error: 'must be true: read the terms of service of the ACME server' }),
  cache_dir: z.string().default('./.acme-cache'),
  addr: tcpAddress.default({ host: '', port: HTTPS_PORT }),
});

const servingCertFile = z.strictObject({
  cert_file_path: requiredText,
  key_file_path: requiredText,
  file_sync_interval: orUnset(duration),
  addr: tcpAddress.default({ host: '', port: HTTPS_PORT }),
});

const socketOf = parsedBy((text: string): string => {
  const path = text.replace(/^unix:(?:\/\/)?(?=\/)/, '');
  if (isAbsolute(path)) return path;
  throw new SpiffeError('CONFIG_INVALID', 'must be the path of a Unix socket, such as "unix:///run/server/api.sock"');
});

const oidcFields = z.strictObject({
  domains: z.array(domain).min(1, { error: 'must name one domain at least' }),
  jwt_issuer: orUnset(webUrl),
  jwks_uri: orUnset(webUrl),
  server_path_prefix: orUnset(
    z.string().regex(/^\/?[A-Za-z0-9._~/-]*$/, { error: 'must be the path of a URL, such as "/prod"' }),
  ),
  set_key_use: flag,
  allow_insecure_scheme: flag,
  insecure_addr: orUnset(tcpAddress),
  listen_socket_path: optionalText,
  acme: acme.optional(),
  serving_cert_file: servingCertFile.optional(),
  server_api: z.strictObject({ address: socketOf, poll_interval: pollInterval, experimental: onlyWindows }).optional(),
  workload_api: z
    .strictObject({
      socket_path: socketOf,
      trust_domain: parsedBy(parseTrustDomain),
      poll_interval: pollInterval,
      experimental: onlyWindows,
    })
    .optional(),
  file: z.strictObject({ path: requiredText, poll_interval: pollInterval }).optional(),
  health_checks: z
    .strictObject({
      bind_address: optionalText,
      bind_port: z.int().min(0).max(65535).optional(),
      live_path: optionalText,
      ready_path: optionalText,
    })
    .optional(),
  log_level: logFields.log_level,
  log_format: orUnset(choice(['text', 'json'])),
  log_path: optionalText,
  log_requests: flag,
  experimental: z.strictObject({ listen_named_pipe_name: WINDOWS_PIPE }).optional(),
});

type RawOidcConfig = z.output<typeof oidcFields>;

export const oidcSchema = oidcFields.transform((raw, ctx): OidcConfig => {
  const sources = sourcesOf(raw);
  const listeners = listenersOf(raw);
  const [source] = sources;
  const [listen] = listeners;
  if (sources.length !== 1 || source === undefined) {
    ctx.addIssue('must have exactly one of the blocks server_api, workload_api and file');
  }
  if (listeners.length !== 1 || listen === undefined) {
    ctx.addIssue('must have exactly one of acme, serving_cert_file, listen_socket_path and insecure_addr');
  }
  if (source === undefined || listen === undefined) return z.NEVER;
  if (raw.allow_insecure_scheme && !('scheme' in listen)) {
    ctx.addIssue('allow_insecure_scheme is for insecure_addr and listen_socket_path alone');
  }
  return toOidcConfig(raw, listen, source);
});

export interface ReadOidcOptions {
  readonly path: string;
  /** What `$NAME` and `${NAME}` in the file stand for; absent, they stand for themselves. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** @throws SpiffeError `FILE_UNUSABLE`; `CONFIG_INVALID` with every mistake, one a line */
export function readOidcConfig({ path, env }: ReadOidcOptions): OidcConfig {
  const text = readOrRefuse(path, 'use -config to name the file');
  return readConfigText(oidcSchema, env === undefined ? text : expandEnv(text, env), { source: path });
}

function toOidcConfig(raw: RawOidcConfig, listen: OidcListen, source: OidcSource): OidcConfig {
  const { log_level, log_format, log_path: log_file, health_checks: health } = raw;
  return {
    log: toLogConfig({ log_file, log_level, log_format, log_source_location: false }),
    warnings: raw.allow_insecure_scheme ? [IN_CLEAR] : [],
    logRequests: raw.log_requests,
    domains: [...new Set(raw.domains)],
    issuer: raw.jwt_issuer,
    jwksUri: raw.jwks_uri,
    pathPrefix: `/${raw.server_path_prefix ?? ''}`.replace(/\/+/g, '/').replace(/\/$/, ''),
    setKeyUse: raw.set_key_use,
    listen,
    source,
    healthChecks: {
      listenerEnabled: health !== undefined,
      bindAddress: health?.bind_address ?? '0.0.0.0', // as SPIRE's: a kubelet asks from outside of the pod
      bindPort: health?.bind_port || HEALTH_PORT,
      livePath: health?.live_path ?? '/live',
      readyPath: health?.ready_path ?? '/ready',
    },
  };
}

function listenersOf(raw: RawOidcConfig): readonly OidcListen[] {
  const { insecure_addr: insecure, listen_socket_path: path, serving_cert_file: files, acme } = raw;
  const scheme = raw.allow_insecure_scheme ? 'http' : 'https';
  const listeners: OidcListen[] = [];
  if (insecure !== undefined) listeners.push({ type: 'clear', address: insecure, scheme });
  if (path !== undefined) listeners.push({ type: 'socket', path, scheme });
  if (files !== undefined) {
    const { cert_file_path: certFilePath, key_file_path: keyFilePath, file_sync_interval: interval, addr } = files;
    const fileSyncIntervalSeconds = interval || FILE_SYNC_SECONDS;
    listeners.push({ type: 'files', address: addr, files: { certFilePath, keyFilePath, fileSyncIntervalSeconds } });
  }
  if (acme !== undefined) {
    const { directory_url: directoryUrl = LETS_ENCRYPT, email, tos_accepted: tosAccepted, cache_dir: folder } = acme;
    const domainNames = [...new Set(raw.domains)];
    listeners.push({
      type: 'acme',
      address: acme.addr,
      acme: { directoryUrl, domainNames, email, tosAccepted },
      folder: folder === '' ? undefined : folder,
    });
  }
  return listeners;
}

function sourcesOf({ server_api: server, workload_api: workload, file }: RawOidcConfig): readonly OidcSource[] {
  const sources: OidcSource[] = [];
  if (server !== undefined) {
    sources.push({ type: 'server', socketPath: server.address, pollSeconds: server.poll_interval });
  }
  if (workload !== undefined) {
    const { socket_path: socketPath, trust_domain: trustDomain, poll_interval: pollSeconds } = workload;
    sources.push({ type: 'workload', socketPath, trustDomain, pollSeconds });
  }
  if (file !== undefined) sources.push({ type: 'file', path: file.path, pollSeconds: file.poll_interval });
  return sources;
}

/** `:443`, `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`. */
function parseTcpAddress(text: string): TcpAddress {
  const [, host = '', digits = ''] = /^(\[[0-9a-fA-F:.]+\]|[^:\s]*):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === '' || port > 65535) {
    throw new SpiffeError('CONFIG_INVALID', 'must be an address and a port, such as ":443" or "127.0.0.1:8080"');
  }
  return { host: host.replace(/^\[(.*)\]$/, '$1'), port };
}
