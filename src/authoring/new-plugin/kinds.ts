import { findNearest } from '../../config/suggest.ts';
import type { PluginSide, PluginType } from '../../rpc/go-plugin.ts';
import { SpiffeError } from '../../spiffe/error.ts';

/** What `-kind` takes. Two of them are made for both programs: their halves have to agree, or are alike. */
export const KINDS = {
  'workload-attestor': { type: 'WorkloadAttestor', sides: ['agent'] },
  'node-attestor': { type: 'NodeAttestor', sides: ['server', 'agent'] },
  'key-manager': { type: 'KeyManager', sides: ['server', 'agent'] },
  'svid-store': { type: 'SVIDStore', sides: ['agent'] },
  'upstream-authority': { type: 'UpstreamAuthority', sides: ['server'] },
  'bundle-publisher': { type: 'BundlePublisher', sides: ['server'] },
  'credential-composer': { type: 'CredentialComposer', sides: ['server'] },
  notifier: { type: 'Notifier', sides: ['server'] },
} as const satisfies Record<string, { readonly type: PluginType; readonly sides: readonly PluginSide[] }>;

export type KindName = keyof typeof KINDS;

export const KIND_NAMES = Object.keys(KINDS) as readonly KindName[];

/** One executable of a project, and the files that are its own. */
export interface Half {
  readonly side: PluginSide;
  readonly type: PluginType;
  /** Before the names of its files, such as `server.`; empty where the project has one half. */
  readonly prefix: string;
  /** The name of the executable. */
  readonly program: string;
}

export function halvesOf(kind: KindName, name: string): readonly Half[] {
  const { type, sides } = KINDS[kind];
  if (sides.length === 1) return sides.map((side) => ({ side, type, prefix: '', program: name }));
  return sides.map((side) => ({ side, type, prefix: `${side}.`, program: `${name}-${side}` }));
}

/** @throws SpiffeError `ARGUMENT_INVALID` with the nearest kind, or all of them */
export function parseKind(text: string): KindName {
  const found = KIND_NAMES.find((kind) => kind === text);
  if (found !== undefined) return found;
  const what = text === '' ? '-kind is missing' : `-kind: there is no kind ${JSON.stringify(text)}`;
  const withoutSide = text.replace(/^(?:server|agent)-/, '');
  const half = KIND_NAMES.find((kind) => kind === withoutSide);
  if (half !== undefined) {
    const both = KINDS[half].sides.length === 2 ? ', which makes the half of the server and that of the agent' : '';
    throw new SpiffeError('ARGUMENT_INVALID', `${what}: say ${half}${both}`);
  }
  const plain = (kind: string) => kind.replaceAll('-', '');
  const nearest = findNearest(plain(text.toLowerCase().replaceAll('_', '-')), KIND_NAMES.map(plain));
  const meant = KIND_NAMES.find((kind) => plain(kind) === nearest);
  const known = `known are ${KIND_NAMES.join(', ')}`;
  throw new SpiffeError(
    'ARGUMENT_INVALID',
    meant === undefined ? `${what}: ${known}` : `${what}, did you mean ${meant}?`,
  );
}
