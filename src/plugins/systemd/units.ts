import { setTimeout as pause } from 'node:timers/promises';
import { SpiffeError } from '../../plugin-sdk/index.ts';
import { DbusConnection, DbusError, LostConnectionError } from './dbus/connection.ts';
import type { DbusMessage } from './dbus/message.ts';
import { malformed } from './dbus/reader.ts';

/** The unit that a process belongs to. */
export interface Unit {
  /** Such as `web.service`. */
  readonly id: string;
  /** Of the file that it was read from; empty for one that has none, such as a session. */
  readonly fragmentPath: string;
  /** Of this run of it, 32 hexadecimal digits; empty for one that does not run. */
  readonly invocationId: string;
}

const SYSTEMD = 'org.freedesktop.systemd1';
const NO_UNIT = 'org.freedesktop.systemd1.NoUnitForPID';
/** systemd is not on this bus yet, or no longer: it, or the bus, is being started. */
const GONE = [
  'org.freedesktop.DBus.Error.ServiceUnknown',
  'org.freedesktop.DBus.Error.NameHasNoOwner',
  'org.freedesktop.DBus.Error.NoReply',
];
/** systemd comes to the bus a moment after the bus itself does. For so long it is waited for, … */
const STARTING_MS = 3_000;
const RETRY_MS = 25;
/** … unless somebody has just waited in vain: there may be a bus without systemd. */
const IN_VAIN_MS = 60_000;
const INVOCATION_ID_BYTES = 16;
/** dbus-daemon lets a connection wait for 128 answers, and a look takes up to four at a time. */
const MAX_LOOKS = 24;

interface Link {
  readonly connection: DbusConnection;
  /** The unique name of systemd on this bus. */
  readonly systemd: string;
}

/** Asks systemd, over one connection that is opened when it is needed. */
export class Units implements Disposable {
  readonly #socketPath: string;
  #link: Promise<Link> | undefined;
  /** As `performance.now()` tells time. */
  #impatientUntil = 0;
  #looks = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  /**
   * @returns undefined for a process that systemd knows no unit of.
   * @throws SpiffeError `WORKLOAD_UNREADABLE` where systemd does not say, or the process moved meanwhile
   */
  async findUnit(pid: number, signal: AbortSignal): Promise<Unit | undefined> {
    try {
      return await orAborted(this.#inTurn(pid, signal), signal);
    } catch (error) {
      if (!(error instanceof DbusError)) throw error;
      if (error.errorName === NO_UNIT) return undefined;
      throw refused(pid, error);
    }
  }

  [Symbol.dispose](): void {
    this.#link?.then(close, () => {});
    this.#link = undefined;
  }

  async #inTurn(pid: number, signal: AbortSignal): Promise<Unit> {
    if (this.#looks >= MAX_LOOKS) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#looks += 1;
    try {
      return await this.#findAnew(pid, signal);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#looks -= 1;
      else next();
    }
  }

  /** Again, while systemd or the bus is being started: nothing that is asked changes anything. */
  async #findAnew(pid: number, signal: AbortSignal): Promise<Unit> {
    const giveUpAt = performance.now() + (performance.now() < this.#impatientUntil ? 0 : STARTING_MS);
    for (;;) {
      signal.throwIfAborted(); // nobody waits for it any more
      try {
        const link = await this.#open();
        this.#impatientUntil = 0;
        return await this.#find(pid, link).catch((error) => {
          if (isPassing(error)) close(link);
          throw error;
        });
      } catch (error) {
        if (!isPassing(error)) throw error;
        if (performance.now() >= giveUpAt) {
          this.#impatientUntil = performance.now() + IN_VAIN_MS;
          throw error;
        }
      }
      await pause(RETRY_MS);
    }
  }

  async #find(pid: number, { connection, systemd }: Link): Promise<Unit> {
    const unitPath = async () => {
      const call = { path: '/org/freedesktop/systemd1', interface: `${SYSTEMD}.Manager`, member: 'GetUnitByPID' };
      return textOf('o', await connection.call({ ...call, destination: systemd, arguments: [pid] }));
    };
    const path = await unitPath();
    const property = async (name: string) => {
      const call = { path, interface: 'org.freedesktop.DBus.Properties', member: 'Get' };
      const values = [`${SYSTEMD}.Unit`, name];
      const message = await connection.call({ ...call, destination: systemd, arguments: values });
      if (message.signature !== 'v') throw malformed(`the property ${name} has the type ${message.signature}`);
      return message.body.variant();
    };
    const answers = [property('Id'), property('FragmentPath'), property('InvocationID'), unitPath()] as const;
    const [id, fragmentPath, invocationId, pathAfter] = await Promise.all(answers);
    if (typeof id !== 'string' || typeof fragmentPath !== 'string' || !(invocationId instanceof Uint8Array)) {
      throw malformed('a property of a unit has another type than it should');
    }
    if (![0, INVOCATION_ID_BYTES].includes(invocationId.length)) {
      throw malformed(`an invocation ID has ${invocationId.length} bytes`);
    }
    if (pathAfter !== path) {
      throw new SpiffeError('WORKLOAD_UNREADABLE', `process ${pid} went to another unit while it was looked at`);
    }
    return { id, fragmentPath, invocationId: Buffer.from(invocationId).toString('hex') };
  }

  async #open(): Promise<Link> {
    const before = this.#link;
    const link = await before?.catch(() => undefined);
    if (link?.connection.isOpen === true) return link;
    if (this.#link === before) this.#link = open(this.#socketPath); // otherwise another call did
    return await (this.#link ?? open(this.#socketPath));
  }
}

/** Whether it may be gone in a moment. */
function isPassing(error: unknown): boolean {
  return error instanceof LostConnectionError || (error instanceof DbusError && GONE.includes(error.errorName));
}

function close({ connection }: Link): void {
  connection[Symbol.dispose]();
}

async function open(socketPath: string): Promise<Link> {
  const connection = await DbusConnection.open(socketPath);
  try {
    return { connection, systemd: await connection.nameOwner(SYSTEMD) };
  } catch (error) {
    connection[Symbol.dispose]();
    throw error;
  }
}

function textOf(signature: string, message: DbusMessage): string {
  if (message.signature === signature) return message.body.string();
  throw malformed(`an answer has the type ${JSON.stringify(message.signature)}`);
}

function refused(pid: number, { errorName, message }: DbusError): SpiffeError {
  return new SpiffeError(
    'WORKLOAD_UNREADABLE',
    `systemd does not say of which unit process ${pid} is: ${message} (${errorName})`,
  );
}

async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(new SpiffeError('CANCELLED', 'the caller no longer waits'));
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort, { once: true });
  work.catch(() => {}); // where nobody waits for it
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
