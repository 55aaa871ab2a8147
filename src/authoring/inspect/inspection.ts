import type { Suggestion } from '../suggest/index.ts';
import type { PluginKind } from '../trial/offered-kinds.ts';

/** The part of a plugin's start in which something is wrong, in the order in which they come. */
export type InspectionStep =
  | 'start'
  | 'handshake'
  | 'socket'
  | 'connection'
  | 'health'
  | 'init'
  | 'services'
  | 'cookie'
  | 'configuration'
  | 'end'
  | 'suggestion';

/** Something wrong, in plain words. */
export interface Finding {
  readonly step: InspectionStep;
  readonly message: string;
}

/** What a plugin said on its first line. */
export interface HandshakeFacts {
  readonly coreVersion: number;
  readonly protocolVersion: number;
  readonly network: string;
  readonly protocol: string;
}

/** Which parts a plugin has that it may be without; absent, it was not asked. */
export interface OptionalParts {
  readonly health?: boolean;
  readonly stdio?: boolean;
  readonly validate?: boolean;
  readonly deinit?: boolean;
}

/** go-plugin's mutual TLS, tried in a start of its own. */
export type AutoMtlsOutcome = { readonly works: true } | { readonly works: false; readonly reason: string };

/** What was found out about a plugin; what it did not come to is absent. */
export interface Inspection {
  readonly command: string;
  readonly args: readonly string[];
  /** A host can load it: there are no problems. */
  readonly loadable: boolean;
  readonly problems: readonly Finding[];
  /** What a host takes nevertheless. */
  readonly warnings: readonly Finding[];
  readonly kinds: readonly PluginKind[];
  /** Full names of the services that it says it has. */
  readonly services: readonly string[];
  readonly handshake?: HandshakeFacts;
  /** From the start of its process to its first line. */
  readonly handshakeMs?: number;
  /** From the start of its process until it can be called. */
  readonly readyMs?: number;
  /** Proportional set size once it can be called. */
  readonly memoryBytes?: number;
  /** It took the configuration; absent where it was given none. */
  readonly configured?: boolean;
  readonly optional: OptionalParts;
  readonly autoMtls?: AutoMtlsOutcome;
  /** The sandbox that would have done, where that was asked for and could be found out. */
  readonly suggestion?: Suggestion;
}
