import type { BootLog } from './log-codec.ts';

/** Where Linux shows what was measured. */
export const DEFAULT_LOG_PATHS = {
  event: '/sys/kernel/security/tpm0/binary_bios_measurements',
  ima: '/sys/kernel/security/ima/binary_runtime_measurements',
  'command line': '/proc/cmdline',
} as const satisfies Readonly<Record<BootLog, string>>;

/** The keys of the agent's configuration that name others. */
export const LOG_PATH_KEYS = {
  event: 'event_log_path',
  ima: 'ima_log_path',
  'command line': 'command_line_path',
} as const satisfies Readonly<Record<BootLog, string>>;
