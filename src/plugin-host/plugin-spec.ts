import { basename } from 'node:path';
import type { PluginData } from '../config/plugins.ts';
import type { ManifestOf, SandboxConfig } from '../config/sandbox-config.ts';
import type { LogFields } from '../log/logger.ts';
import type { PluginSide, PluginType } from '../rpc/go-plugin.ts';
import type { Handshake } from '../rpc/handshake.ts';

/** A plugin to be run, once its configuration has been understood. */
export interface PluginSpec {
  readonly side: PluginSide;
  readonly type: PluginType;
  readonly name: string;
  /** Ours, not named by `plugin_cmd`. */
  readonly builtin: boolean;
  /** As its package says. */
  readonly version?: string | undefined;
  /** Absolute path of its executable; of its socket where it is attached to. */
  readonly command: string;
  readonly args: readonly string[];
  /** SHA-256 of the command, in hexadecimal. */
  readonly checksum: string | undefined;
  /** `plugin_data` as text, or the file that holds it. */
  readonly data: PluginData | undefined;
  readonly autoMtls: boolean;
  /** What it needs of the system; undefined where that is not known. */
  readonly manifest?: ManifestOf | undefined;
  /** Files and folders that it runs from, beside the command. */
  readonly program?: readonly string[] | undefined;
  readonly sandbox?: SandboxConfig | undefined;
  /** How long a workload attestor may take for one workload. */
  readonly attestTimeoutSeconds?: number | undefined;
  /** Where it runs already, and what it speaks; absent, the host starts it. */
  readonly attach?: Handshake | undefined;
}

/** How long each step of a plugin's life may take. */
export interface PluginDeadlines {
  readonly handshakeMs: number;
  readonly connectMs: number;
  readonly initMs: number;
  readonly configureMs: number;
  readonly deinitMs: number;
  /** In place of the last, where the program ends. */
  readonly stopMs: number;
  /** Between two health checks of a plugin that runs, and for its answer. */
  readonly healthIntervalMs: number;
  readonly healthMs: number;
  /** How long calls may go on in a process that another has taken the place of. */
  readonly drainMs: number;
  /** From the request to end to SIGKILL. */
  readonly graceMs: number;
}

/** Handshake, deinit and grace are SPIRE's and go-plugin's; the others have no limit there. */
export const DEFAULT_DEADLINES: PluginDeadlines = {
  handshakeMs: 60_000,
  connectMs: 10_000,
  initMs: 30_000,
  configureMs: 60_000,
  deinitMs: 10_000,
  stopMs: 2_000,
  healthIntervalMs: 10_000,
  healthMs: 10_000,
  drainMs: 30_000,
  graceMs: 2_000,
};

/** The fields that say whose a log record is. */
export function pluginLogFields({ type, name, command, builtin }: PluginSpec): LogFields {
  return {
    subsystem_name: `${name}.${basename(command)}`,
    plugin_name: name,
    plugin_type: type,
    external: !builtin,
  };
}
