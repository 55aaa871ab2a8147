import type { AgentConfig } from '../config/agent-config.ts';

/** Keys of the configuration that are set and that nothing comes of yet. */
export function findUnsupported(config: AgentConfig): readonly string[] {
  const { broker } = config.experimental;
  const set: Readonly<Record<string, boolean>> = {
    'experimental.broker': broker !== undefined,
  };
  const unused = config.plugins.filter(({ type, enabled }) => enabled && type === 'SVIDStore');
  return [...Object.keys(set).filter((key) => set[key]), ...unused.map(({ type, name }) => `plugins.${type}.${name}`)];
}
