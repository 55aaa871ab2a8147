import { fileURLToPath } from 'node:url';
import { type ConformanceReport, type PluginCommand, testPlugin } from '../../../src/authoring/conformance/index.ts';
import type { PluginKind } from '../../../src/authoring/trial/offered-kinds.ts';
import { parseTrustDomain } from '../../../src/spiffe/trust-domain.ts';

const MAIN = fileURLToPath(new URL('plugin/main.ts', import.meta.url));

/** Kinds of the plugin in `plugin/`, which has one defect at a time. */
export const KINDS = {
  notifier: { side: 'server', type: 'Notifier' },
  'key-manager': { side: 'server', type: 'KeyManager' },
  'workload-attestor': { side: 'agent', type: 'WorkloadAttestor' },
  'svid-store': { side: 'agent', type: 'SVIDStore' },
  'bundle-publisher': { side: 'server', type: 'BundlePublisher' },
  'credential-composer': { side: 'server', type: 'CredentialComposer' },
  'upstream-authority': { side: 'server', type: 'UpstreamAuthority' },
  'server-node-attestor': { side: 'server', type: 'NodeAttestor' },
  'agent-node-attestor': { side: 'agent', type: 'NodeAttestor' },
} as const satisfies Readonly<Record<string, PluginKind>>;
export type KindName = keyof typeof KINDS;

/** @param file for what a plugin keeps over its end */
export function defectivePlugin(kind: KindName, defect = '', file = ''): PluginCommand {
  return { command: process.execPath, args: [MAIN, kind, defect, file] };
}

/** Tries some rules, or all; a server's half of a node attestor together with an agent's that is as it should be. */
export async function tryPlugin(
  kind: KindName,
  defect: string,
  { only, file = '', handshakeDeadlineMs = 20_000 }: TryOptions = {},
): Promise<ConformanceReport> {
  return await testPlugin({
    ...defectivePlugin(kind, defect, file),
    ...KINDS[kind],
    trustDomain: parseTrustDomain('example.org'),
    name: 'conformance',
    handshakeDeadlineMs,
    ...(kind === 'server-node-attestor' ? { peer: defectivePlugin('agent-node-attestor') } : {}),
    ...(only === undefined ? {} : { only }),
  });
}

interface TryOptions {
  readonly only?: readonly string[];
  readonly file?: string;
  readonly handshakeDeadlineMs?: number;
}
