import { HistoryDefinition, type RecordedVerdict } from '../../../gen/assayer/server/reattest/v1/reattest.ts';
import { adminCommand } from '../../admin-channel.ts';
import { text, wholeNumber } from '../../flag-kinds.ts';
import { formatRows, occasionRows } from '../../occasions.ts';
import { formatCount } from '../../output.ts';

const MAX_LIMIT = 100;

export const agentHistory = adminCommand({
  summary: 'List what the evidence of an agent came to, the newest first',
  flags: {
    spiffeID: text('The SPIFFE ID of the agent', 'ID'),
    limit: wholeNumber('How many at most', 'COUNT', 50, MAX_LIMIT),
  },
  run: async ({ spiffeID: agentId, limit }, { client, show, terminal }) => {
    const answer = await client(HistoryDefinition).listVerdicts({ agentId, limit });
    const { verdicts } = answer;
    show(answer, () => {
      if (verdicts.length === 0) return terminal.print('No verdicts found\n');
      terminal.print(`Found ${formatCount(verdicts.length, 'verdict', 'verdicts')}:\n\n`);
      for (const verdict of verdicts) terminal.print(formatVerdict(verdict));
    });
  },
});

function formatVerdict({ verdict, policies, reason, evidenceSha256, ...occasions }: RecordedVerdict): string {
  return formatRows([
    ['Verdict', verdict],
    ...occasionRows(occasions),
    ...policies.map((policy) => ['Policy', policy] as const),
    ...(reason === '' ? [] : [['Reason', reason] as const]),
    ...(evidenceSha256 === '' ? [] : [['Evidence', `sha256:${evidenceSha256}`] as const]),
  ]);
}
