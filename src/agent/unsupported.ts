import type { AgentConfig } from '../config/agent-config.ts';

/** What is configured and nothing comes of yet. */
export function findUnsupported({ plugins }: Pick<AgentConfig, 'plugins'>): readonly string[] {
  const unused = plugins.filter(({ type, enabled }) => enabled && type === 'SVIDStore');
  return unused.map(({ type, name }) => `plugins.${type}.${name}`);
}
