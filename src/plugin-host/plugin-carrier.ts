import type { Handshake } from '../rpc/handshake.ts';
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
