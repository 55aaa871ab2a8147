import {
  type ApplyEntriesResponse,
  type Change,
  Change_Kind as Kind,
  type Options,
} from '../gen/assayer/server/apply/v1/apply.ts';
import type { Entry } from '../gen/spire/api/types/types.ts';
import { formatApiId } from './api-ids.ts';
import { onOneLine } from './output.ts';

const KINDS: Readonly<Record<number, { readonly name: string; readonly sign: string }>> = {
  [Kind.CREATE]: { name: 'CREATE', sign: '+' },
  [Kind.UPDATE]: { name: 'UPDATE', sign: '~' },
  [Kind.ADOPT]: { name: 'ADOPT', sign: '=' },
  [Kind.DELETE]: { name: 'DELETE', sign: '-' },
};

/** With the names of enumerations, as protobuf's JSON has them. */
export function withKindNames({ changes, ...answer }: ApplyEntriesResponse): object {
  return {
    ...answer,
    changes: changes.map((change) => ({ ...change, kind: KINDS[change.kind]?.name ?? change.kind })),
  };
}

/** A line a change, with what differs below it, and a summary. */
export function formatApplied({ changes, unchanged, notPruned }: ApplyEntriesResponse, options: Options): string {
  const count = (kind: Kind) => changes.filter((change) => change.kind === kind).length;
  const adopted = count(Kind.ADOPT);
  const parts = [
    `${count(Kind.CREATE)} ${options.dryRun ? 'to create' : 'created'}`,
    `${count(Kind.UPDATE)} ${options.dryRun ? 'to update' : 'updated'}`,
    ...(adopted === 0 ? [] : [`${adopted} ${options.dryRun ? 'to adopt' : 'adopted'}`]),
    `${count(Kind.DELETE)} ${options.dryRun ? 'to delete' : 'deleted'}`,
    `${unchanged} unchanged`,
  ];
  const head = options.dryRun ? `Set "${options.set}", nothing was changed` : `Set "${options.set}"`;
  const left = notPruned === 0 ? '' : `Of the set and not in the files: ${notPruned}, which -prune deletes\n`;
  return `${changes.map(formatChange).join('')}${head}: ${parts.join(', ')}\n${left}`;
}

function formatChange({ kind, before, after, fields }: Change): string {
  const entry = after ?? before;
  const id = entry?.id === undefined || entry.id === '' ? '' : ` (${entry.id})`;
  const head = `${KINDS[kind]?.sign ?? '?'} ${formatApiId(entry?.spiffeId)} below ${formatApiId(entry?.parentId)}${id}\n`;
  const rows = fields.map((field) => `    ${field}: ${textOf(before, field)} > ${textOf(after, field)}\n`);
  return [head, ...rows].join('');
}

/** Of a field by its name in the API. */
function textOf(entry: Entry | undefined, field: string): string {
  if (entry === undefined) return '';
  switch (field) {
    case 'spiffe_id':
      return formatApiId(entry.spiffeId);
    case 'parent_id':
      return formatApiId(entry.parentId);
    case 'selectors':
      return onOneLine(entry.selectors.map(({ type, value }) => `${type}:${value}`).join(', '));
    default: {
      const key = field.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
      const value: unknown = Object.entries(entry).find(([name]) => name === key)?.[1];
      return onOneLine(JSON.stringify(value, (_, one: unknown) => (typeof one === 'bigint' ? String(one) : one)) ?? '');
    }
  }
}
