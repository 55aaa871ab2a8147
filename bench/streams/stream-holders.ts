import { join } from 'node:path';
import { Child } from '../process/child.ts';
import type { FromHolder, HolderUser, ToHolder } from './messages.ts';

/** What an agent lets a process and a user have: 64 and 1,024. */
const CONNECTIONS_A_PROCESS = 64;
const CONNECTIONS_A_USER = 1024;
const STREAMS_A_CONNECTION = 100;
/** Users that nobody else is. */
const FIRST_UID = 61_000;
const DEADLINE_MS = 300_000;

export interface HoldersOptions {
  readonly socketPath: string;
  readonly streams: number;
  /** Of all of them. */
  readonly gid: number;
  /** On each connection where there may be enough connections; more otherwise. */
  readonly streamsAConnection: number;
}

type Holder = Child<ToHolder, FromHolder>;

/** Many processes that each hold some connections with streams, since an agent counts connections by process and user. */
export class StreamHolders implements AsyncDisposable {
  readonly connections: number;
  readonly #children: readonly Holder[];

  private constructor(children: readonly Holder[], connections: number) {
    this.#children = children;
    this.connections = connections;
  }

  /** Resolves once every stream has its first answer. One process opens its connections after the other. */
  static async open({ socketPath, streams, gid, streamsAConnection }: HoldersOptions): Promise<StreamHolders> {
    const plan = planConnections(streams, streamsAConnection);
    const path = join(import.meta.dirname, 'main.ts');
    const children: Holder[] = [];
    const holders = new StreamHolders(children, plan.length);
    try {
      for (let start = 0; start < plan.length; start += CONNECTIONS_A_PROCESS) {
        const child: Holder = await Child.start({ name: 'a process that holds streams', path, endSignal: 'SIGKILL' });
        children.push(child);
        const user = userOf(start, gid);
        const connections = plan.slice(start, start + CONNECTIONS_A_PROCESS).map((count) => ({ streams: count }));
        await child.ask({ kind: 'open', socketPath, connections, user }, 'opened', DEADLINE_MS);
      }
      return holders;
    } catch (error) {
      await holders[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Forgets what came so far. @returns a function that waits until every stream has got one more message, and tells when each did. */
  async mark(): Promise<() => Promise<readonly number[]>> {
    const told = this.#children.map((child) => child.answer('told', DEADLINE_MS));
    for (const one of told) one.catch(() => {}); // whoever waits is told
    await Promise.all(this.#children.map((child) => child.ask({ kind: 'mark' }, 'marked', DEADLINE_MS)));
    return async () => (await Promise.all(told)).flatMap(({ timesMs }) => timesMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#children.map((child) => child[Symbol.asyncDispose]()));
  }
}

/** Streams of each connection. Only root can be more than one user. */
function planConnections(streams: number, streamsAConnection: number): readonly number[] {
  const most = isRoot() ? Number.POSITIVE_INFINITY : CONNECTIONS_A_USER;
  const count = Math.min(Math.ceil(streams / streamsAConnection), most);
  const each = Math.ceil(streams / count);
  if (each > STREAMS_A_CONNECTION) throw new Error(`${streams} streams are more than an agent lets one user have`);
  return Array.from({ length: count }, (_, index) => Math.min(each, streams - index * each)).filter((one) => one > 0);
}

function userOf(connection: number, gid: number): HolderUser | undefined {
  return isRoot() ? { uid: FIRST_UID + Math.floor(connection / CONNECTIONS_A_USER), gid } : undefined;
}

const isRoot = () => process.getuid?.() === 0;
