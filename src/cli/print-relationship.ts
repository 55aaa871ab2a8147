import type { FederationRelationship, Status as ItemStatus } from '../gen/spire/api/types/types.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { Status } from '../spiffe/status.ts';
import { formatField, statusName } from './output.ts';
import type { Terminal } from './terminal.ts';

const WIDTH = 26;

/** A relationship as SPIRE's command line shows it, one field a line. */
export function formatRelationship({
  trustDomain,
  bundleEndpointUrl,
  bundleEndpointProfile: profile,
}: FederationRelationship): string {
  const rows: (readonly [string, string])[] = [
    ['Trust domain', trustDomain],
    ['Bundle endpoint URL', bundleEndpointUrl],
  ];
  if (profile?.$case === 'httpsWeb') rows.push(['Bundle endpoint profile', 'https_web']);
  if (profile?.$case === 'httpsSpiffe') {
    rows.push(['Bundle endpoint profile', 'https_spiffe'], ['Endpoint SPIFFE ID', profile.value.endpointSpiffeId]);
  }
  return rows.map(([name, value]) => formatField(name, value, WIDTH)).join('');
}

interface RelationshipResult {
  readonly status: ItemStatus | undefined;
  readonly federationRelationship: FederationRelationship | undefined;
}

/** @throws SpiffeError where one failed, after all were printed */
export function printRelationshipResults(
  results: readonly RelationshipResult[],
  requested: readonly FederationRelationship[],
  verb: 'create' | 'update',
  terminal: Terminal,
): void {
  const isDone = ({ status }: RelationshipResult) => status?.code === Status.Ok;
  for (const { federationRelationship: done } of results.filter(isDone)) {
    if (done !== undefined) terminal.print(`\n${formatRelationship(done)}`);
  }
  let failures = 0;
  for (const [index, result] of results.entries()) {
    const asked = requested[index];
    if (isDone(result) || asked === undefined) continue;
    failures += 1;
    const { code = Status.Unknown, message = '' } = result.status ?? {};
    const reason = `(code: ${statusName(code)}, msg: ${JSON.stringify(message)})`;
    terminal.printError(`\nFailed to ${verb} the following federation relationship ${reason}:\n`);
    terminal.printError(formatRelationship(asked));
  }
  if (failures === 0) return;
  throw new SpiffeError('FAILED_PRECONDITION', `failed to ${verb} one or more federation relationships`);
}
