import { sharedNowMs } from '../watchers/messages.ts';
import type { FromHolder, ToHolder } from './messages.ts';
import { StreamConnection } from './stream-connection.ts';

/** A workload, or as many as one process may be taken for: it holds streams and counts what comes. */
const AT_ONCE = 8;
let streams = 0;
let times: number[] = [];
let onAll: (() => void) | undefined;

function send(message: FromHolder): void {
  process.send?.(message);
}

const listener = {
  onMessage: () => {
    times.push(sharedNowMs());
    if (times.length === streams) onAll?.();
  },
  onFailure: (reason: string) => send({ kind: 'failed', reason }),
};

/** A few connections at a time, as nothing starts all of its workloads in one moment. */
async function open({ socketPath, connections, user }: Extract<ToHolder, { kind: 'open' }>): Promise<void> {
  if (user !== undefined) {
    process.setgroups?.([]);
    process.setgid?.(user.gid);
    process.setuid?.(user.uid);
  }
  for (let start = 0; start < connections.length; start += AT_ONCE) {
    const some = connections.slice(start, start + AT_ONCE);
    streams += some.reduce((total, { streams: count }) => total + count, 0);
    const answered = new Promise<void>((resolve) => {
      onAll = resolve;
    });
    for (const { streams: count } of some) new StreamConnection(socketPath, count, listener);
    await answered;
  }
  send({ kind: 'opened' });
}

process.on('message', (message: ToHolder) => {
  if (message.kind === 'open') {
    open(message).catch((error: unknown) => {
      send({ kind: 'failed', reason: error instanceof Error ? error.message : String(error) });
    });
    return;
  }
  times = [];
  onAll = () => send({ kind: 'told', timesMs: times });
  send({ kind: 'marked' });
});
process.on('disconnect', () => process.exit());
