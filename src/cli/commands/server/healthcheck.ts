import { defineCommand } from '../../command.ts';
import { checkHealth, healthFlags } from '../../health.ts';
import { SERVER_SOCKET, socketFlags } from '../../socket-path.ts';

export const serverHealthcheck = defineCommand({
  summary: 'Tell whether the server is healthy',
  flags: { ...healthFlags, ...socketFlags(SERVER_SOCKET) },
  run: (values, terminal) => checkHealth(SERVER_SOCKET, values, terminal),
});
