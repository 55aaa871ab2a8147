import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';

const LOWEST = 10_000;
/** From here on up the system chooses ports itself, for every connection that is made: one of those is soon another's. */
const systemsOwn = readFile('/proc/sys/net/ipv4/ip_local_port_range', 'latin1').then(Number.parseInt, () => 32_768);

/** For configuration files, in which 0 is another port. Nobody has it until it is used, unless by a rare chance. */
export async function freePort(): Promise<number> {
  const end = Math.max(await systemsOwn, LOWEST + 1_000);
  for (;;) {
    const port = LOWEST + Math.floor(Math.random() * (end - LOWEST));
    const server = createServer().listen(port, '127.0.0.1');
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    );
    if (!isFree) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}
