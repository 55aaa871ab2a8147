import {
  type AgentState,
  type ExplainEntriesResponse,
  type ExplainedEntry,
  type Holder,
  Reached,
} from '../gen/assayer/server/explain/v1/explain.ts';
import { formatSelector } from '../spiffe/selector.ts';
import { formatApiId } from './api-ids.ts';
import { formatField, formatTime } from './output.ts';

const WIDTH = 24;

const REACHED: Readonly<Record<number, { readonly name: string; readonly words: string }>> = {
  [Reached.UNKNOWN]: { name: 'UNKNOWN', words: 'not known, it has not synced with this server since that started' },
  [Reached.NOT_YET]: { name: 'NOT_YET', words: 'not yet' },
  [Reached.REACHED]: { name: 'REACHED', words: 'yes' },
};

/** With the names of enumerations, as protobuf's JSON has them. */
export function withNames({ entries, ...answer }: ExplainEntriesResponse): object {
  return {
    ...answer,
    entries: entries.map((entry) => ({
      ...entry,
      holders: entry.holders.map((holder) => ({ ...holder, reached: REACHED[holder.reached]?.name ?? holder.reached })),
    })),
  };
}

/** The agent that was asked for, one field a line. */
export function formatAgentState(agent: AgentState): string {
  const rows: readonly (readonly [name: string, value: unknown])[] = [
    ['Agent', formatApiId(agent.id)],
    ['State', stateOf(agent)],
    ...agent.selectors.map((selector) => ['Agent selector', formatSelector(selector)] as const),
    ['Last sync', agent.syncedAt === 0n ? 'not since this server started' : formatTime(agent.syncedAt)],
    ['Told of changes', agent.watching ? 'at once' : 'when it asks'],
  ];
  return format(rows);
}

/** An entry with what decides over it, and an empty line at its end. */
export function formatExplainedEntry(found: ExplainedEntry, isForOneAgent: boolean): string {
  const { entry, holders, holderCount } = found;
  const shown = isForOneAgent ? [] : holders;
  const rows: readonly (readonly [name: string, value: unknown])[] = [
    ['Entry ID', entry?.id ?? ''],
    ['SPIFFE ID', formatApiId(entry?.spiffeId)],
    ['Parent ID', formatApiId(entry?.parentId)],
    ...(entry?.selectors ?? []).map((selector) => ['Selector', formatSelector(selector)] as const),
    ['Matches', found.matches ? 'yes' : 'no'],
    ...found.missing.map((selector) => ['Lacks', formatSelector(selector)] as const),
    ...(found.whyNot === '' ? [] : [['Why not', found.whyNot] as const]),
    ...(isForOneAgent ? holders.flatMap(wayRows) : []),
    ...shown.flatMap((holder) => [
      [
        'Agent',
        `${formatApiId(holder.agent?.id)} (${holder.agent === undefined ? '' : stateOf(holder.agent)})`,
      ] as const,
      ...wayRows(holder),
    ]),
    ...(shown.length > 0 && holderCount > shown.length
      ? [['Agent', `and ${holderCount - shown.length} more`] as const]
      : []),
  ];
  return `${format(rows)}\n`;
}

function wayRows({ chain, aliasEntryId, reached }: Holder): readonly (readonly [name: string, value: unknown])[] {
  const through = aliasEntryId === '' ? '' : ` (by entry ${aliasEntryId})`;
  const isDirect = chain.length < 2 && aliasEntryId === '';
  return [
    ...(isDirect ? [] : [['Way', `${chain.map(formatApiId).join(' > ')}${through}`] as const]),
    ['Has reached the agent', REACHED[reached]?.words ?? reached],
  ];
}

function stateOf({ attested, banned, expired, expiresAt }: AgentState): string {
  if (!attested) return 'not attested';
  if (banned) return 'banned: it gets nothing until it is evicted and attests again';
  if (expired) return `expired at ${formatTime(expiresAt)}: it has to attest again`;
  return 'attested';
}

function format(rows: readonly (readonly [name: string, value: unknown])[]): string {
  return rows.map(([name, value]) => formatField(name, value, WIDTH)).join('');
}
