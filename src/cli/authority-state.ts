import type { AuthorityState } from '../gen/spire/api/server/localauthority/v1/localauthority.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { text } from './flag-kinds.ts';
import { formatTime, onOneLine } from './output.ts';

export type AuthorityKind = 'JWT' | 'X.509';

/** Of a command that does something to one authority. */
export function authorityIdFlag(kind: AuthorityKind, verb: string) {
  return { authorityID: text(`The authority ID of the ${kind} authority to ${verb}`, 'ID') };
}

export function requireAuthorityId(authorityId: string): string {
  if (authorityId !== '') return authorityId;
  throw new SpiffeError('ARGUMENT_INVALID', 'an authority ID is required: give -authorityID, as "show" prints it');
}

/** As SPIRE prints it, below a heading such as `Prepared X.509 authority:`. */
export function formatAuthority(heading: string, kind: AuthorityKind, state: AuthorityState | undefined): string {
  const title = `${heading} ${kind} authority:\n`;
  if (state === undefined) return `${title}  No ${heading.toLowerCase()} ${kind} authority found\n`;
  const { authorityId, expiresAt, upstreamAuthoritySubjectKeyId: upstream } = state;
  const lines = [`  Authority ID: ${onOneLine(authorityId)}`, `  Expires at: ${formatTime(expiresAt)}`];
  if (kind === 'X.509') {
    lines.push(
      upstream === ''
        ? '  Upstream authority ID: No upstream authority'
        : `  Upstream authority Subject Key ID: ${onOneLine(upstream)}`,
    );
  }
  return `${title}${lines.join('\n')}\n`;
}

/** The three that a server has of a kind, at most. */
export function formatAuthorities(
  kind: AuthorityKind,
  { active, prepared, old }: Readonly<Record<'active' | 'prepared' | 'old', AuthorityState | undefined>>,
): string {
  return [
    formatAuthority('Active', kind, active),
    formatAuthority('Prepared', kind, prepared),
    formatAuthority('Old', kind, old),
  ].join('\n');
}
