import { orUnset, z } from '../../plugin-sdk/index.ts';
import { clusterName } from './cluster-name.ts';
import { DEFAULTS } from './defaults.ts';

/** `plugin_data` of the agent's half: docs/plugins/k8s-psat.md. */
export const psatAgentConfig = z.strictObject({
  cluster: clusterName,
  token_path: orUnset(z.string()).transform((path) => path ?? DEFAULTS.tokenPath),
});
export type PsatAgentConfig = z.output<typeof psatAgentConfig>;
