import { z } from 'zod';
import { parsedBy, textList } from './fields.ts';
import type { PluginConfig } from './plugins.ts';
import { readConfigText } from './read-config.ts';
import { reattestationFields } from './reattestation-fields.ts';
import { isSatisfiedBy, parseStageExpression, type StageExpression, stagesOf } from './stage-expression.ts';

/** The attestor that has several others vouch for a node: part of the program. SPIRE has nothing like it. */
export const COMPOSITE = 'composite';

/** What the server wants of a node that attests by several attestors. */
export interface CompositeRule {
  readonly expression: StageExpression;
  /** In the order in which they have their say. */
  readonly stages: readonly string[];
  /** The stage whose agent ID counts. */
  readonly agentIdFrom: string;
  /** Stages that also let in who attests by them alone. */
  readonly alsoAlone: ReadonlySet<string>;
}

const ruleSchema = z.strictObject({
  expression: parsedBy(parseStageExpression),
  agent_id_from: z.string(),
  also_alone: textList,
  ...reattestationFields,
});

export function isComposite({ type, name }: Pick<PluginConfig, 'type' | 'name'>): boolean {
  return type === 'NodeAttestor' && name === COMPOSITE;
}

/**
 * @returns undefined where the server has no such attestor.
 * @throws SpiffeError `CONFIG_INVALID`
 */
export function readCompositeRule(plugins: readonly PluginConfig[]): CompositeRule | undefined {
  const block = plugins.find((plugin) => plugin.enabled && isComposite(plugin));
  if (block === undefined) return undefined;
  const text = block.data !== undefined && 'text' in block.data ? block.data.text : '';
  const attestors = plugins.flatMap(({ type, name, enabled }) => (type === 'NodeAttestor' && enabled ? [name] : []));
  const schema = ruleSchema.superRefine(({ expression, agent_id_from: agentIdFrom, also_alone: alsoAlone }, ctx) => {
    const stages = stagesOf(expression);
    for (const stage of stages) {
      if (stage === COMPOSITE) ctx.addIssue('expression: it cannot name itself');
      else if (!attestors.includes(stage)) {
        ctx.addIssue(`expression: there is no NodeAttestor "${stage}" in the configuration`);
      }
    }
    for (const stage of alsoAlone.filter((name) => !stages.includes(name))) {
      ctx.addIssue(`also_alone: "${stage}" is not in the expression`);
    }
    if (isSatisfiedBy(expression, new Set(stages.filter((stage) => stage !== agentIdFrom)))) {
      ctx.addIssue(`agent_id_from: not every node that the expression lets in attests by "${agentIdFrom}"`);
    }
  });
  const source = `NodeAttestor "${COMPOSITE}" plugin_data`;
  const { expression, agent_id_from: agentIdFrom, also_alone: alsoAlone } = readConfigText(schema, text, { source });
  return { expression, stages: stagesOf(expression), agentIdFrom, alsoAlone: new Set(alsoAlone) };
}
