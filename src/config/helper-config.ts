import { z } from 'zod';
import { readOrRefuse } from './config-file.ts';
import { choice, flag, optionalPort, optionalText, orUnset, requiredText, textList } from './fields.ts';
import type { HealthChecksConfig } from './health-config.ts';
import {
  commandArguments,
  fileMode,
  fileName,
  parseAgentAddress,
  requiredFileName,
  signalName,
} from './helper-fields.ts';
import { findHelperProblems } from './helper-rules.ts';
import { type LogConfig, logFields, toLogConfig } from './log-config.ts';
import { configError } from './problem.ts';
import { readConfigText } from './read-config.ts';

/** A server whose reload the helper knows. */
export type KnownServer = 'postgresql' | 'mariadb' | 'nginx' | 'haproxy';

/** A file in `cert_dir`, and its permission bits. */
export interface NamedFile {
  readonly name: string;
  readonly mode: number;
}

export interface JwtFile extends NamedFile {
  readonly audience: readonly string[];
}

/** What `agent helper` does. Source: the documentation of spiffe-helper; `owner`, `layout`, `reload` and what follows are ours. */
export interface HelperConfig {
  readonly log: LogConfig;
  readonly warnings: readonly string[];
  /** A path. */
  readonly agentSocket: string;
  readonly isDaemon: boolean;
  /** Identities that are not the first one are found by it; empty for the first one. */
  readonly hint: string;
  readonly certDir: string;
  /** `user`, `user:group`, names or numbers. */
  readonly owner: string | undefined;
  readonly layout: 'files' | 'versions';
  readonly x509:
    | {
        readonly svid: NamedFile;
        readonly key: NamedFile;
        readonly bundle: NamedFile;
        readonly intermediatesInBundle: boolean;
        readonly withFederated: boolean;
        readonly omitExpired: boolean;
      }
    | undefined;
  readonly jwtSvids: readonly JwtFile[];
  /** Trust domain names with their JWK sets in base64. */
  readonly jwtBundles: NamedFile | undefined;
  /** The JWK set of the own trust domain. */
  readonly jwks: NamedFile | undefined;
  readonly command: { readonly program: string; readonly args: readonly string[] } | undefined;
  readonly renewSignal: NodeJS.Signals | undefined;
  readonly pidFile: string | undefined;
  readonly reload:
    | { readonly server: KnownServer; readonly socket: string | undefined; readonly defaultsFile: string | undefined }
    | undefined;
  readonly healthChecks: HealthChecksConfig;
}

const jwtSvid = z.strictObject({
  jwt_audience: requiredText,
  jwt_extra_audiences: textList,
  jwt_svid_file_name: requiredFileName,
});

const healthChecks = z
  .strictObject({
    listener_enabled: flag,
    bind_address: optionalText,
    bind_port: optionalPort,
    liveness_path: optionalText,
    readiness_path: optionalText,
  })
  .prefault({});

export const helperSchema = z.strictObject({
  agent_address: optionalText.refine((text) => text === undefined || parseAgentAddress(text) !== undefined, {
    error: 'must be the path of a Unix socket, such as "/run/agent/api.sock" or "unix:///run/agent/api.sock"',
  }),
  cmd: optionalText,
  cmd_args: commandArguments,
  pid_file_name: optionalText,
  renew_signal: signalName,
  cert_dir: requiredText,
  daemon_mode: z.boolean().default(true),
  add_intermediates_to_bundle: flag,
  include_federated_domains: flag,
  omit_expired: flag,
  hint: z.string().default(''),
  svid_file_name: fileName,
  svid_key_file_name: fileName,
  svid_bundle_file_name: fileName,
  cert_file_mode: fileMode(0o644),
  key_file_mode: fileMode(0o600),
  jwt_svids: z.array(jwtSvid).max(64).default([]),
  jwt_bundle_file_name: fileName,
  jwks_file_name: fileName,
  jwt_svid_file_mode: fileMode(0o600),
  jwt_bundle_file_mode: fileMode(0o600),
  owner: optionalText,
  layout: orUnset(choice(['files', 'versions'])),
  reload: orUnset(choice(['postgresql', 'mariadb', 'nginx', 'haproxy'])),
  reload_socket: optionalText,
  reload_defaults_file: optionalText,
  health_checks: healthChecks,
  ...logFields,
});

export type RawHelperConfig = z.output<typeof helperSchema>;

export interface ReadHelperOptions {
  readonly path: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Of the command line, before the file's. */
  readonly isDaemon?: boolean | undefined;
}

const DEFAULT_SOCKET = '/tmp/spire-agent/public/api.sock';
const HEALTH_PORT = 8081;

/**
 * Reads the file of spiffe-helper, or of this helper.
 *
 * @throws SpiffeError `FILE_UNUSABLE`; `CONFIG_INVALID` with every mistake, one a line
 */
export function readHelperConfig({ path, env = {}, isDaemon }: ReadHelperOptions): HelperConfig {
  const raw = readConfigText(helperSchema, readOrRefuse(path, 'use -config to name the file'), { source: path });
  const problems = findHelperProblems(raw).map((problem) => ({ source: path, ...problem }));
  if (problems.length > 0) throw configError(problems);
  return toHelperConfig({ ...raw, daemon_mode: isDaemon ?? raw.daemon_mode }, env);
}

function toHelperConfig(raw: RawHelperConfig, env: Readonly<Record<string, string | undefined>>): HelperConfig {
  const named = (name: string | undefined, mode: number): NamedFile | undefined =>
    name === undefined ? undefined : { name, mode };
  const svid = named(raw.svid_file_name, raw.cert_file_mode);
  const key = named(raw.svid_key_file_name, raw.key_file_mode);
  const bundle = named(raw.svid_bundle_file_name, raw.cert_file_mode);
  return {
    log: toLogConfig({ ...raw, log_source_location: false }),
    warnings: warningsOf(raw),
    agentSocket: agentSocketOf(raw, env),
    isDaemon: raw.daemon_mode,
    hint: raw.hint,
    certDir: raw.cert_dir,
    owner: raw.owner,
    layout: raw.layout ?? 'files',
    x509:
      svid === undefined || key === undefined || bundle === undefined
        ? undefined
        : {
            svid,
            key,
            bundle,
            intermediatesInBundle: raw.add_intermediates_to_bundle,
            withFederated: raw.include_federated_domains,
            omitExpired: raw.omit_expired,
          },
    jwtSvids: raw.jwt_svids.map(({ jwt_audience, jwt_extra_audiences, jwt_svid_file_name }) => ({
      name: jwt_svid_file_name,
      mode: raw.jwt_svid_file_mode,
      audience: [...new Set([jwt_audience, ...jwt_extra_audiences])],
    })),
    jwtBundles: named(raw.jwt_bundle_file_name, raw.jwt_bundle_file_mode),
    jwks: named(raw.jwks_file_name, raw.jwt_bundle_file_mode),
    command: raw.cmd === undefined ? undefined : { program: raw.cmd, args: raw.cmd_args },
    renewSignal: raw.renew_signal,
    pidFile: raw.pid_file_name,
    reload:
      raw.reload === undefined
        ? undefined
        : { server: raw.reload, socket: raw.reload_socket, defaultsFile: raw.reload_defaults_file },
    healthChecks: {
      // Without a daemon there is nobody to ask.
      listenerEnabled: raw.health_checks.listener_enabled && raw.daemon_mode,
      // As spiffe-helper: a kubelet asks from outside of the pod's loopback.
      bindAddress: raw.health_checks.bind_address ?? '0.0.0.0',
      bindPort: raw.health_checks.bind_port ?? HEALTH_PORT,
      livePath: raw.health_checks.liveness_path ?? '/live',
      readyPath: raw.health_checks.readiness_path ?? '/ready',
    },
  };
}

function agentSocketOf(raw: RawHelperConfig, env: Readonly<Record<string, string | undefined>>): string {
  const address = raw.agent_address ?? (env.SPIFFE_ENDPOINT_SOCKET || DEFAULT_SOCKET);
  const path = parseAgentAddress(address);
  if (path !== undefined) return path;
  const message = `must be the path of a Unix socket, such as "unix:///run/agent/api.sock": it is ${JSON.stringify(address)}`;
  throw configError([{ source: 'environment', path: 'SPIFFE_ENDPOINT_SOCKET', message }]);
}

function warningsOf({ daemon_mode, cmd, pid_file_name, reload }: RawHelperConfig): readonly string[] {
  const acts = cmd !== undefined || pid_file_name !== undefined || reload !== undefined;
  return daemon_mode || !acts ? [] : ['nothing is run, signalled or reloaded, as daemon_mode is false'];
}
