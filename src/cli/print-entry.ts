import type { Entry, Status as ItemStatus } from '../gen/spire/api/types/types.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { Status } from '../spiffe/status.ts';
import { formatApiId } from './api-ids.ts';
import { formatField, formatTime, statusName } from './output.ts';
import type { Terminal } from './terminal.ts';

const WIDTH = 24;

/** An entry as SPIRE's command line shows it, one field a line, with an empty line at its end. */
export function formatEntry(entry: Entry): string {
  const rows: readonly (readonly [name: string, value: unknown, isShown: boolean])[] = [
    ['Entry ID', entry.id || '(none)', true],
    ['SPIFFE ID', formatApiId(entry.spiffeId), true],
    ['Parent ID', formatApiId(entry.parentId), true],
    ['Revision', entry.revisionNumber, true],
    ['Downstream', true, entry.downstream],
    ['X509-SVID TTL', entry.x509SvidTtl || 'default', true],
    ['JWT-SVID TTL', entry.jwtSvidTtl || 'default', true],
    ['Expiration time', formatTime(entry.expiresAt), entry.expiresAt !== 0n],
    ...entry.selectors.map(({ type, value }) => ['Selector', `${type}:${value}`, true] as const),
    ...entry.federatesWith.map((trustDomain) => ['FederatesWith', trustDomain, true] as const),
    ...entry.dnsNames.map((dnsName) => ['DNS name', dnsName, true] as const),
    ['Admin', true, entry.admin],
    ['StoreSvid', true, entry.storeSvid],
    ['Hint', entry.hint, entry.hint !== ''],
    ['DisableX509SvidPrefetch', true, entry.additionalAttributes?.disableX509SvidPrefetch ?? false],
    ['JwtSvidIncludeJti', true, entry.additionalAttributes?.jwtSvidIncludeJti ?? false],
  ];
  const shown = rows.filter(([, , isShown]) => isShown);
  return `${shown.map(([name, value]) => formatField(name, value, WIDTH)).join('')}\n`;
}

/** What became of one entry of a batch; of a refused one, the server gives back no entry. */
export interface EntryResult {
  readonly status: ItemStatus | undefined;
  readonly entry: Entry | undefined;
}

/** Those that failed get the entry that was asked for. */
export function withRequestedEntries<Result extends EntryResult>(
  results: readonly Result[],
  requested: readonly Entry[],
): readonly Result[] {
  return results.map((result, index) => (hasFailed(result) ? { ...result, entry: requested[index] } : result));
}

/** @throws SpiffeError where one failed, after all were printed */
export function printEntryResults(
  results: readonly EntryResult[],
  verb: 'create' | 'update',
  terminal: Terminal,
): void {
  for (const { entry } of results.filter((result) => !hasFailed(result))) {
    if (entry !== undefined) terminal.print(formatEntry(entry));
  }
  const failed = results.filter(hasFailed);
  for (const { status, entry } of failed) {
    const reason = `(code: ${statusName(status?.code ?? Status.Unknown)}, msg: ${JSON.stringify(status?.message ?? '')})`;
    terminal.printError(`Failed to ${verb} the following entry ${reason}:\n`);
    if (entry !== undefined) terminal.printError(formatEntry(entry));
  }
  if (failed.length > 0) throw new SpiffeError('FAILED_PRECONDITION', `failed to ${verb} one or more entries`);
}

export function hasFailed({ status }: { readonly status: ItemStatus | undefined }): boolean {
  return status?.code !== Status.Ok;
}
