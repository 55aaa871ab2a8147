import { LocalAuthorityDefinition } from '../../../gen/spire/api/server/localauthority/v1/localauthority.ts';
import { SpiffeError } from '../../../spiffe/error.ts';
import { adminCommand } from '../../admin-channel.ts';
import { text } from '../../flag-kinds.ts';
import { onOneLine } from '../../output.ts';

const flagsTo = (verb: string) => ({
  subjectKeyID: text(`The subject key identifier of the upstream authority's certificate to ${verb}`, 'HEX'),
});

export const upstreamAuthorityTaint = adminCommand({
  summary: 'Mark an upstream X.509 authority as tainted: what hangs on it is replaced',
  flags: flagsTo('taint'),
  run: async ({ subjectKeyID }, { client, show, terminal }) => {
    const subjectKeyId = requireSubjectKeyId(subjectKeyID);
    const answer = await client(LocalAuthorityDefinition).taintX509UpstreamAuthority({ subjectKeyId });
    show(answer, () => terminal.print(formatUpstream('Tainted', answer.upstreamAuthoritySubjectKeyId)));
  },
});

export const upstreamAuthorityRevoke = adminCommand({
  summary: 'Take a tainted upstream X.509 authority out of the bundle',
  flags: flagsTo('revoke'),
  run: async ({ subjectKeyID }, { client, show, terminal }) => {
    const subjectKeyId = requireSubjectKeyId(subjectKeyID);
    const answer = await client(LocalAuthorityDefinition).revokeX509UpstreamAuthority({ subjectKeyId });
    show(answer, () => terminal.print(formatUpstream('Revoked', answer.upstreamAuthoritySubjectKeyId)));
  },
});

function requireSubjectKeyId(subjectKeyId: string): string {
  if (subjectKeyId !== '') return subjectKeyId;
  throw new SpiffeError(
    'ARGUMENT_INVALID',
    'the Subject Key ID of the X.509 upstream authority is required: give -subjectKeyID',
  );
}

function formatUpstream(done: string, subjectKeyId: string): string {
  return `${done} X.509 upstream authority:\n  Subject Key ID: ${onOneLine(subjectKeyId)}\n`;
}
