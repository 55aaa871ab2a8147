import { setTimeout as delay } from 'node:timers/promises';
import type { Handshake } from '../rpc/handshake.ts';
import { RemoteError } from '../rpc/status.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { Status } from '../spiffe/status.ts';
import type { PluginConnection } from './plugin-connection.ts';

/** How a plugin ended: its process by itself or by a signal; for one that the host did not start, what became of the connection. */
export type PluginExit =
  | { readonly status: number | null; readonly signal: string | null }
  | { readonly connection: 'was lost' | 'was given up' };

/** What carries a generation of a plugin: a process that the host started, or one that it found running. */
export interface PluginCarrier {
  /** 0 where it is not known. */
  readonly pid: number;
  readonly handshake: Handshake;
  /** Settles when it has ended, however it did. */
  readonly exited: Promise<PluginExit>;
  /** Undefined while it runs. */
  readonly exit: PluginExit | undefined;
  /** The last lines that it wrote to stderr. */
  readonly lastLines: readonly string[];
  /** What confines it. */
  readonly sandbox: readonly string[];
  /** As its package says; undefined where it does not. */
  readonly version: string | undefined;
  /** `error`, or what explains it better: that it has ended meanwhile. */
  explain(error: unknown): Promise<unknown>;
  /** Ends it at once, as far as the host can. */
  kill(): void;
  /** Lets it end in good order, once it was deinitialized. */
  end(connection: PluginConnection): Promise<void>;
}

/** Behind "its process", such as `exited with status 1`. */
export function describeExit(exit: PluginExit): string {
  if ('connection' in exit) return `is not ours to start, and the connection to it ${exit.connection}`;
  return exit.signal === null ? `exited with status ${exit.status}` : `was ended by ${exit.signal}`;
}

/** How long the end of a plugin may take to be noticed once its connection is lost. */
const NOTICE_MS = 500;

/** `error`, or that the plugin has ended, where a lost connection or an end that is known explains it so. */
export async function explainByExit(
  { exit, exited }: Pick<PluginCarrier, 'exit' | 'exited'>,
  error: unknown,
): Promise<unknown> {
  const isLost = error instanceof RemoteError && error.status === Status.Unavailable;
  const found =
    exit ?? (isLost ? await Promise.race([exited, delay(NOTICE_MS, undefined, { ref: false })]) : undefined);
  if (found === undefined) return error;
  return new SpiffeError('PLUGIN_EXITED', `the plugin's process ${describeExit(found)}`, { cause: error });
}
