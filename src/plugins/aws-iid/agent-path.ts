import { type AgentPathTemplate, isSpiffeError, parseAgentPathTemplate, SpiffeError } from '../../plugin-sdk/index.ts';

const DEFAULT = '/{{ .PluginName }}/{{ .AccountID }}/{{ .Region }}/{{ .InstanceID }}';
const FIELDS = ['PluginName', 'AccountID', 'Region', 'InstanceID', 'Tags'] as const;

export interface AgentPath {
  readonly template: AgentPathTemplate;
  /** Whether EC2 has to be asked before the ID is known. */
  readonly hasTags: boolean;
}

/** @throws SpiffeError `CONFIG_INVALID` */
export function readAgentPath(text: string = DEFAULT): AgentPath {
  try {
    return { template: parseAgentPathTemplate(text, { fields: FIELDS }), hasTags: text.includes('.Tags') };
  } catch (cause) {
    if (!isSpiffeError(cause)) throw cause;
    throw new SpiffeError('CONFIG_INVALID', `agent_path_template: ${cause.message}`, { cause });
  }
}
