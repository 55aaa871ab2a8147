import { z } from 'zod';
import { choice, flag, orUnset } from './fields.ts';

/** What a plugin may reach over sockets: nothing, Unix sockets, anything. */
export type SandboxNetwork = 'none' | 'unix' | 'all';

/** `own`: a user that no other plugin and no person has; `host`: the program's. */
export type SandboxUser = 'own' | 'host';

/** Every capability of Linux, by its number. Source: linux/capability.h. */
export const CAPABILITIES: readonly string[] = [
  ...['CHOWN', 'DAC_OVERRIDE', 'DAC_READ_SEARCH', 'FOWNER', 'FSETID', 'KILL', 'SETGID', 'SETUID', 'SETPCAP'],
  ...['LINUX_IMMUTABLE', 'NET_BIND_SERVICE', 'NET_BROADCAST', 'NET_ADMIN', 'NET_RAW', 'IPC_LOCK', 'IPC_OWNER'],
  ...['SYS_MODULE', 'SYS_RAWIO', 'SYS_CHROOT', 'SYS_PTRACE', 'SYS_PACCT', 'SYS_ADMIN', 'SYS_BOOT', 'SYS_NICE'],
  ...['SYS_RESOURCE', 'SYS_TIME', 'SYS_TTY_CONFIG', 'MKNOD', 'LEASE', 'AUDIT_WRITE', 'AUDIT_CONTROL', 'SETFCAP'],
  ...['MAC_OVERRIDE', 'MAC_ADMIN', 'SYSLOG', 'WAKE_ALARM', 'BLOCK_SUSPEND', 'AUDIT_READ', 'PERFMON', 'BPF'],
  'CHECKPOINT_RESTORE',
];

/** What a plugin needs, as its author says; what is left out it does without. */
export interface SandboxManifest {
  readonly user: SandboxUser;
  /** Files and folders that it reads. */
  readonly readable?: readonly string[];
  /** Of those: folders that another plugin fills, made where they are missing, as it may start later. */
  readonly filledByOthers?: readonly string[];
  /** Folders that it writes, which become its user's. */
  readonly writable?: readonly string[];
  readonly devices?: readonly string[];
  readonly network: SandboxNetwork;
  /** Such as `SYS_PTRACE`. */
  readonly capabilities?: readonly string[];
  /** Sees the processes of others in /proc. */
  readonly allProcesses?: boolean;
  /** Names of the host's environment variables to hand on; no manifest of others names any. */
  readonly variables?: readonly string[];
  readonly memoryBytes?: number | undefined;
  readonly processes?: number | undefined;
  readonly files?: number | undefined;
}

/** Tells what a built-in plugin needs with this `plugin_data`; undefined where that cannot be known. */
export type ManifestOf = (data: string) => SandboxManifest | undefined;

/** The block `sandbox { … }` of a plugin: what is given goes before what the plugin's manifest says, or is added to it. */
export interface SandboxConfig {
  readonly enabled: boolean;
  /** False: the manifest beside the plugin's executable is passed over. */
  readonly manifest?: boolean | undefined;
  /** Refuses to start where a measure is not possible. */
  readonly required: boolean;
  readonly user?: SandboxUser | undefined;
  readonly readable?: readonly string[] | undefined;
  readonly writable?: readonly string[] | undefined;
  readonly devices?: readonly string[] | undefined;
  readonly network?: SandboxNetwork | undefined;
  readonly memoryBytes?: number | undefined;
  readonly processes?: number | undefined;
  readonly files?: number | undefined;
  /** Its share of the CPU where there is not enough for all: the program itself has 100. */
  readonly cpuWeight?: number | undefined;
  readonly capabilities?: readonly string[] | undefined;
  /** Names of the host's environment variables to hand on. */
  readonly env: readonly string[];
}

const UNITS: Readonly<Record<string, number>> = { MiB: 2 ** 20, GiB: 2 ** 30 };
const sizeSentence = 'must be a size in quotes, such as "256MiB" or "1GiB"';

/** `256MiB` or `1GiB` → bytes. */
export const size = z.string({ error: sizeSentence }).transform((text, ctx) => {
  const [, digits = '', unit = ''] = /^(\d{1,12}) ?(MiB|GiB)$/.exec(text) ?? [];
  const bytes = Number(digits) * (UNITS[unit] ?? 0);
  if (bytes > 0 && Number.isSafeInteger(bytes)) return bytes;
  ctx.addIssue(sizeSentence);
  return z.NEVER;
});

export const absolutePath = z.string().regex(/^\//, { error: 'must be an absolute path' });
/** The name of a capability, with or without `CAP_`. */
export const capability = z.string().transform((text, ctx) => {
  const name = text.toUpperCase().replace(/^CAP_/, '');
  if (CAPABILITIES.some((known) => known === name)) return name;
  ctx.addIssue('must be a capability of Linux, such as "SYS_PTRACE"');
  return z.NEVER;
});
const variable = z.string().regex(/^[A-Za-z_]\w*$/, { error: 'must be the name of an environment variable' });
const cpuWeight = z
  .int()
  .min(1)
  .max(100, { error: 'must be from 1 to 100, which is the weight of the program itself' });
export const count = (least: number) => z.int().min(least, { error: `must be ${least} or more` });

export const sandboxConfig = z
  .strictObject({
    enabled: z.boolean().default(true),
    manifest: z.boolean().optional(),
    required: flag,
    user: choice(['own', 'host']).optional(),
    readable: z.array(absolutePath).optional(),
    writable: z.array(absolutePath).optional(),
    devices: z.array(absolutePath).optional(),
    network: choice(['none', 'unix', 'all']).optional(),
    memory: orUnset(size),
    processes: count(8).optional(),
    files: count(32).optional(),
    cpu_weight: cpuWeight.optional(),
    capabilities: z.array(capability).optional(),
    env: z.array(variable).default([]),
  })
  .transform(
    ({ memory, cpu_weight, ...raw }): SandboxConfig => ({ ...raw, memoryBytes: memory, cpuWeight: cpu_weight }),
  );
