import { type Attempt, AttemptsDefinition } from '../../../gen/assayer/server/attempts/v1/attempts.ts';
import { adminCommand } from '../../admin-channel.ts';
import { text, toggle, wholeNumber } from '../../flag-kinds.ts';
import { formatRows, occasionRows } from '../../occasions.ts';
import { formatCount } from '../../output.ts';

const MAX_LIMIT = 1000;

export const agentAttempts = adminCommand({
  summary: 'List attempts to attest that were refused, with the reason, the newest first',
  flags: {
    attestationType: text('Only attempts with this attestor, such as tpm or join_token', 'TYPE'),
    address: text('Only attempts from this address', 'ADDRESS'),
    attested: toggle('List those that went well instead'),
    limit: wholeNumber('How many at most', 'COUNT', 50, MAX_LIMIT),
  },
  run: async (request, { client, show, terminal }) => {
    const answer = await client(AttemptsDefinition).listAttempts(request);
    const { attempts } = answer;
    show(answer, () => {
      if (attempts.length === 0) return terminal.print('No attempts found\n');
      terminal.print(`Found ${formatCount(attempts.length, 'kind of attempt', 'kinds of attempts')}:\n\n`);
      for (const attempt of attempts) terminal.print(formatAttempt(attempt));
    });
  },
});

function formatAttempt({ attestationType, address, agentId, reason, ...occasions }: Attempt): string {
  return formatRows([
    ...occasionRows(occasions),
    ['Attestation type', attestationType],
    ['Address', address],
    ...(agentId === '' ? [] : [['SPIFFE ID', agentId] as const]),
    ...(reason === '' ? [] : [['Reason', reason] as const]),
  ]);
}
