import { AgentDefinition } from '../../../gen/spire/api/server/agent/v1/agent.ts';
import { adminCommand } from '../../admin-channel.ts';
import { parseApiId } from '../../api-ids.ts';
import { text, wholeNumber } from '../../flag-kinds.ts';

export const tokenGenerate = adminCommand({
  summary: 'Make a join token, which one agent may attest with once',
  flags: {
    ttl: wholeNumber('Life of the token', 'SECONDS', 600),
    spiffeID: text('A SPIFFE ID that the agent gets too', 'ID'),
  },
  run: async ({ ttl, spiffeID }, { client, show, terminal }) => {
    const agentId = spiffeID === '' ? undefined : parseApiId(spiffeID, '-spiffeID');
    const token = await client(AgentDefinition).createJoinToken({ ttl, token: '', agentId });
    show(token, () => {
      terminal.print(`Token: ${token.value}\n`);
      if (spiffeID === '') terminal.print('Warning: Missing SPIFFE ID.\n');
    });
  },
});
