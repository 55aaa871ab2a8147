import type { PluginKind } from '../trial/offered-kinds.ts';
import { agentNodeAttestorRules } from './kinds/agent-node-attestor-rules.ts';
import { bundlePublisherRules } from './kinds/bundle-publisher-rules.ts';
import { credentialComposerRules } from './kinds/credential-composer-rules.ts';
import { keyManagerRules } from './kinds/key-manager-rules.ts';
import { notifierRules } from './kinds/notifier-rules.ts';
import { serverNodeAttestorRules } from './kinds/server-node-attestor-rules.ts';
import { svidStoreRules } from './kinds/svid-store-rules.ts';
import { upstreamAuthorityRules } from './kinds/upstream-authority-rules.ts';
import { workloadAttestorRules } from './kinds/workload-attestor-rules.ts';
import { configRules } from './layer/config-rules.ts';
import { connectionRules } from './layer/connection-rules.ts';
import { lifeRules } from './layer/life-rules.ts';
import { logRules } from './layer/log-rules.ts';
import { startRules } from './layer/start-rules.ts';
import { pairRules } from './pair/pair-rules.ts';
import { tamperRules } from './pair/tamper-rules.ts';
import type { Rule } from './rule.ts';

/** Rules of one part of the contract, for whichever plugins have it. */
export interface RuleGroup {
  /** As a heading. */
  readonly title: string;
  readonly rules: readonly Rule[];
  isFor(kind: PluginKind): boolean;
}

const byType = (type: PluginKind['type'], side?: PluginKind['side']) => (kind: PluginKind) =>
  kind.type === type && (side === undefined || kind.side === side);
const everybody = () => true;

/** All rules of the kit, in the order in which they are tried. */
export const RULE_GROUPS: readonly RuleGroup[] = [
  { title: 'Start', rules: startRules, isFor: everybody },
  { title: 'Connection', rules: connectionRules.filter(({ needs }) => needs === 'connection'), isFor: everybody },
  { title: 'Init and end', rules: lifeRules, isFor: everybody },
  { title: 'Configuration', rules: configRules, isFor: everybody },
  { title: 'Calls', rules: connectionRules.filter(({ needs }) => needs === 'configured'), isFor: everybody },
  { title: 'Key managers', rules: keyManagerRules, isFor: byType('KeyManager') },
  {
    title: "Node attestors, the server's half",
    rules: serverNodeAttestorRules,
    isFor: byType('NodeAttestor', 'server'),
  },
  { title: "Node attestors, the agent's half", rules: agentNodeAttestorRules, isFor: byType('NodeAttestor', 'agent') },
  { title: 'Node attestors, both halves', rules: [...pairRules, ...tamperRules], isFor: byType('NodeAttestor') },
  { title: 'Upstream authorities', rules: upstreamAuthorityRules, isFor: byType('UpstreamAuthority') },
  { title: 'Notifiers', rules: notifierRules, isFor: byType('Notifier') },
  { title: 'Bundle publishers', rules: bundlePublisherRules, isFor: byType('BundlePublisher') },
  { title: 'Credential composers', rules: credentialComposerRules, isFor: byType('CredentialComposer') },
  { title: 'SVID stores', rules: svidStoreRules, isFor: byType('SVIDStore') },
  { title: 'Workload attestors', rules: workloadAttestorRules, isFor: byType('WorkloadAttestor') },
  { title: 'Log', rules: logRules, isFor: everybody },
];

export function rulesFor(kind: PluginKind): readonly Rule[] {
  return RULE_GROUPS.filter(({ isFor }) => isFor(kind)).flatMap(({ rules }) => rules);
}
