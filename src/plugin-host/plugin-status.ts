/** What a program tells of one of its plugins. */
export interface PluginStatus {
  readonly type: string;
  readonly name: string;
  readonly builtin: boolean;
  /** Absent for what is part of the program itself. */
  readonly pid?: number;
  readonly state: 'running' | 'restarting' | 'unhealthy' | 'internal';
  /** Whether there is a process to call; absent for what is part of the program. */
  readonly runs?: boolean;
  readonly startedAt?: Date;
  /** Counts the plugin's processes; absent for what is part of the program. */
  readonly generation?: number;
  readonly restarts?: number;
  readonly lastError?: string | undefined;
  /** The program's for what comes with it; what the plugin's package says; absent where nothing does. */
  readonly version?: string | undefined;
  /** The measures of the sandbox that are in force. */
  readonly sandbox?: readonly string[];
}
