export { RULE_GROUPS, type RuleGroup, rulesFor } from './kit.ts';
export type { ConformanceReport, RuleResult, Verdict } from './report.ts';
export { type PluginCommand, type TestPluginOptions, testPlugin } from './test-plugin.ts';
