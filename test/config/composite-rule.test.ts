import { describe, expect, test } from 'vitest';
import { readCompositeRule } from '../../src/config/composite-rule.ts';
import { findPluginConstraintProblems } from '../../src/config/plugin-constraints.ts';
import type { PluginConfig } from '../../src/config/plugins.ts';
import { isSatisfiedBy, parseStageExpression, stagesOf } from '../../src/config/stage-expression.ts';

const plugin = (type: string, name: string, more: Partial<PluginConfig> = {}): PluginConfig => ({
  ...{ type, name, args: [], data: undefined, enabled: true, autoMtls: false },
  ...more,
});
const attestors = ['tpm', 'aws_iid', 'k8s_psat'].map((name) => plugin('NodeAttestor', name));
const composite = (text: string, more: Partial<PluginConfig> = {}) => [
  ...attestors,
  plugin('NodeAttestor', 'composite', { data: { text }, ...more }),
];
const ruleOf = (expression: string, rest = 'agent_id_from = "tpm"') =>
  readCompositeRule(composite(`expression = "${expression}"\n${rest}`));

describe('an expression', () => {
  test.each([
    ['tpm', ['tpm'], []],
    ['tpm && aws_iid', ['tpm', 'aws_iid'], ['tpm']],
    ['tpm || aws_iid', ['aws_iid'], []],
    ['tpm&&(k8s_psat||aws_iid)', ['tpm', 'aws_iid'], ['k8s_psat', 'aws_iid']],
    ['tpm && k8s_psat || aws_iid', ['aws_iid'], ['tpm']],
    ['tpm && (k8s_psat && (aws_iid || x))', ['tpm', 'k8s_psat', 'x'], ['tpm', 'x', 'aws_iid']],
  ])('%s wants enough of its stages', (text, enough, tooLittle) => {
    const expression = parseStageExpression(text);
    expect(isSatisfiedBy(expression, new Set(enough))).toBe(true);
    expect(isSatisfiedBy(expression, new Set(tooLittle))).toBe(false);
  });

  test('names each stage once, in its order', () => {
    expect(stagesOf(parseStageExpression('(b && a) || (b && c.d-e_2)'))).toEqual(['b', 'a', 'c.d-e_2']);
  });

  test.each([
    ['', /the end stands where the name/],
    ['tpm &&', /the end stands where the name/],
    ['&& tpm', /"&&" stands where the name/],
    ['tpm aws_iid', /"aws_iid" stands where "&&"/],
    ['(tpm && aws_iid', /not closed/],
    ['tpm)', /"\)" stands where/],
    ['tpm & aws_iid', /"&" means nothing/],
    ['!tpm', /"!" means nothing/],
    ['tpm, aws_iid', /"," means nothing/],
    ['()', /"\)" stands where the name/],
    ['- && tpm', /"-" stands where the name/],
    ['('.repeat(1000), /the end stands where/],
    ['('.repeat(1025), /1025 characters, 1024 at most/],
    [Array.from({ length: 17 }, (_, number) => `a${number}`).join(' || '), /17 attestors, 16 at most/],
  ])('%j is refused', (text, message) => {
    expect(() => parseStageExpression(text)).toThrow(message);
  });
});

describe('the rule of a server', () => {
  test('is what its block says, or none', () => {
    expect(ruleOf('tpm && (k8s_psat || aws_iid)', 'agent_id_from = "tpm" also_alone = ["aws_iid"]')).toMatchObject({
      stages: ['tpm', 'k8s_psat', 'aws_iid'],
      agentIdFrom: 'tpm',
      alsoAlone: new Set(['aws_iid']),
    });
    expect(readCompositeRule(attestors)).toBeUndefined();
    expect(readCompositeRule(composite('', { enabled: false }))).toBeUndefined();
  });

  test.each([
    ['tpm && sshpop', undefined, /there is no NodeAttestor "sshpop"/],
    ['tpm && composite', undefined, /cannot name itself/],
    ['tpm || aws_iid', undefined, /agent_id_from: not every node that the expression lets in attests by "tpm"/],
    ['tpm', 'agent_id_from = "aws_iid"', /agent_id_from: not every node/],
    ['tpm', 'agent_id_from = "tpm" also_alone = ["aws_iid"]', /also_alone: "aws_iid" is not in the expression/],
    ['tpm', '', /agent_id_from/],
    ['tpm', 'agent_id_from = "tpm" nonsense = 1', /nonsense/],
    ['tpm &', undefined, /means nothing/],
  ])('%s is refused with a sentence', (expression, rest, message) => {
    expect(() => ruleOf(expression, rest)).toThrow(message);
  });
});

describe('a configuration', () => {
  const agent = [plugin('KeyManager', 'memory'), plugin('WorkloadAttestor', 'unix')];
  const messages = (side: 'agent' | 'server', plugins: readonly PluginConfig[]) =>
    findPluginConstraintProblems(side, plugins).map(({ message }) => message);

  test('of an agent has several attestors with it, and one without', () => {
    expect(messages('agent', [...agent, ...attestors, plugin('NodeAttestor', 'composite')])).toEqual([]);
    expect(messages('agent', [...agent, ...attestors])).toEqual([
      'plugin type "NodeAttestor" constraint not satisfied: expected exactly 1 but got 3',
    ]);
  });

  test.each([
    ['options on an agent', 'agent', { data: { text: 'expression = "tpm"' } }, /has no options on an agent/],
    ['a file of options', 'server', { data: { file: 'x' } }, /and no plugin_data_file/],
    ['an executable', 'server', { command: 'x' }, /plugin_cmd cannot be used for NodeAttestor "composite"/],
    ['a wrong rule', 'server', { data: { text: '' } }, /expression/],
  ] as const)('with %s is refused', (_what, side, more, message) => {
    const plugins = [...attestors, plugin('NodeAttestor', 'composite', more)];
    expect(messages(side, plugins)).toContainEqual(expect.stringMatching(message));
  });
});
