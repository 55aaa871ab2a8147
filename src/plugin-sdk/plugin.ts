import type { Logger } from '../log/logger.ts';
import type { PluginSide, PluginType } from '../rpc/go-plugin.ts';
import type { BoundService } from '../rpc/service.ts';
import type { HostServices } from './host-services.ts';

/** What a plugin's functions may use of their surroundings. */
export interface PluginRuntime {
  /** Lines reach the host's log, with their level and fields. */
  readonly log: Logger;
  readonly host: HostServices;
}

/** A plugin of one kind, ready for `servePlugin`. Made by a `define…` function. */
export interface Plugin {
  readonly type: PluginType;
  readonly side: PluginSide;
  /** As it stands in agent IDs and selectors. */
  readonly name: string;
  /** The services that make it what it is, its configuration among them. */
  bind(runtime: PluginRuntime): readonly BoundService[];
}
