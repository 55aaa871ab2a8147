import type { TrustDomain } from '../spiffe/trust-domain.ts';
import type { PluginRuntime } from './plugin.ts';

/** What a plugin knows of the call that it answers. */
export interface PluginContext extends PluginRuntime {
  readonly trustDomain: TrustDomain;
  /** Aborted when the host gives up or has what it needs. */
  readonly signal: AbortSignal;
}
