import { DebugDefinition } from '../../../gen/spire/agent/debug/v1/debug.ts';
import { agentAdminCommand } from '../../admin-channel.ts';
import { formatDebugInfo, formatRfc3339, formatUptime } from '../../debug-info.ts';

export const agentDebugGetinfo = agentAdminCommand({
  summary: "Show the agent's own SVID, how long it runs, its last sync and what it has in its caches",
  flags: {},
  run: async (_values, { client, show, terminal }) => {
    const info = await client(DebugDefinition).getInfo({});
    show(info, () =>
      terminal.print(
        formatDebugInfo({
          heading: 'Agent Debug Info:',
          lines: [
            ['Uptime', formatUptime(info.uptime)],
            ['Last Sync Success', info.lastSyncSuccess === 0n ? '(never)' : formatRfc3339(info.lastSyncSuccess)],
            ['Cached X.509 SVIDs', info.cachedX509SvidsCount],
            ['Cached JWT SVIDs', info.cachedJwtSvidsCount],
            ['Cached SVID Store X.509 SVIDs', info.cachedSvidstoreX509SvidsCount],
          ],
          width: 33,
          chain: info.svidChain,
        }),
      ),
    );
  },
});
