import { DebugDefinition } from '../../../gen/spire/api/server/debug/v1/debug.ts';
import { adminCommand } from '../../admin-channel.ts';
import { formatDebugInfo, formatUptime } from '../../debug-info.ts';

export const serverDebugGetinfo = adminCommand({
  summary: "Show the server's own SVID, how long it runs and what it counts",
  flags: {},
  run: async (_values, { client, show, terminal }) => {
    const info = await client(DebugDefinition).getInfo({});
    show(info, () =>
      terminal.print(
        formatDebugInfo({
          heading: 'Server Debug Info:',
          lines: [
            ['Uptime', formatUptime(info.uptime)],
            ['Registered Agents', info.agentsCount],
            ['Registration Entries', info.entriesCount],
            ['Federated Bundles', info.federatedBundlesCount],
          ],
          width: 25,
          chain: info.svidChain,
        }),
      ),
    );
  },
});
