import type { AuthorityStates } from './authority-line.ts';
import type { X509Record } from './authority-records.ts';

/** Why a root above can be neither tainted nor revoked; SPIRE's words. @param subjectKeyId lower-case hex */
export function findUpstreamProblem(
  { states, oldRecords }: { readonly states: AuthorityStates<X509Record>; readonly oldRecords: readonly X509Record[] },
  subjectKeyId: string,
): string | undefined {
  if (subjectKeyId === '') return 'no subject key ID provided';
  const { active, prepared } = states;
  if (subjectKeyId === active.upstreamAuthorityId) return 'unable to use upstream authority signing current authority';
  if (subjectKeyId === prepared?.upstreamAuthorityId) {
    return 'only upstream authorities signing an old authority can be used';
  }
  if (oldRecords.some(({ upstreamAuthorityId }) => upstreamAuthorityId === subjectKeyId)) return undefined;
  return "upstream authority didn't sign the old local authority";
}
