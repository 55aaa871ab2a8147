import type {
  Attempt,
  AttemptFilter,
  AttemptKind,
  AttemptLimits,
  AttemptRepository,
} from '../../datastore/attempt-repository.ts';
import type { Logger } from '../../log/logger.ts';
import { networkOf } from '../../rpc/network-address.ts';
import { RotationTimer } from '../../time/rotation-timer.ts';

export interface AttemptLogOptions {
  readonly attempts: AttemptRepository;
  /** Whether this server is the one that prunes. */
  readonly leads: () => boolean;
  readonly log: Logger;
  readonly clock: () => Date;
}

const WRITE_MS = 5_000;
/** Kinds of attempts between two writes, and those of one network among them; what is more is not kept. */
const MAX_KINDS = 512;
const MAX_KINDS_PER_NETWORK = 16;
const LIMITS: AttemptLimits = { rows: 10_000, rowsPerAddress: 200, olderThanSeconds: 90 * 86_400 };
const MAX_TYPE_CHARACTERS = 64;
const MAX_REASON_CHARACTERS = 500;
const MAX_ID_CHARACTERS = 2048;

/**
 * Keeps who tried to attest and what came of it. However many try, a write comes every few seconds and is of a limited
 * size, and the table does not grow beyond its limits.
 */
export class AttemptLog implements AsyncDisposable {
  readonly #options: AttemptLogOptions;
  readonly #timer: RotationTimer;
  #pending = new Map<string, Attempt>();
  #perNetwork = new Map<string, number>();
  #isPruningDue = true;

  constructor(options: AttemptLogOptions) {
    const { log, clock } = options;
    this.#options = options;
    const due = () => new Date(clock().getTime() + WRITE_MS);
    const work = async () => {
      await this.#write();
      return due();
    };
    this.#timer = new RotationTimer({ work, log, clock, retryMs: WRITE_MS });
    this.#timer.start(due());
  }

  /** Never waits and never fails: the texts may be anybody's. */
  record({ attestationType, address, agentId, attested, reason }: AttemptKind): void {
    const kind = {
      attestationType: plainText(attestationType, MAX_TYPE_CHARACTERS),
      address: plainText(address, MAX_TYPE_CHARACTERS),
      agentId: plainText(agentId, MAX_ID_CHARACTERS),
      attested,
      reason: plainText(reason, MAX_REASON_CHARACTERS),
    };
    const key = JSON.stringify(kind);
    const at = Math.floor(this.#options.clock().getTime() / 1000);
    const known = this.#pending.get(key);
    if (known !== undefined) {
      this.#pending.set(key, { ...known, count: known.count + 1, lastAt: at });
      return;
    }
    const network = networkOf(address);
    const ofNetwork = this.#perNetwork.get(network) ?? 0;
    if (this.#pending.size >= MAX_KINDS || ofNetwork >= MAX_KINDS_PER_NETWORK) return;
    this.#perNetwork.set(network, ofNetwork + 1);
    this.#pending.set(key, { ...kind, count: 1, firstAt: at, lastAt: at });
  }

  /** The newest first, those of a moment ago among them. */
  async list(filter: AttemptFilter, limit: number): Promise<readonly Attempt[]> {
    await this.#write();
    return await this.#options.attempts.list(filter, limit);
  }

  /** Writes what is not written yet. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#timer[Symbol.asyncDispose]();
    await this.#write().catch((error: unknown) => {
      this.#options.log.warning('the last attempts to attest were not kept', { reason: String(error) });
    });
  }

  async #write(): Promise<void> {
    const { attempts, leads } = this.#options;
    const pending = [...this.#pending.values()];
    if (pending.length > 0) {
      this.#pending = new Map();
      this.#perNetwork = new Map();
      await attempts.add(pending); // where that fails, these are lost: the log has them
      this.#isPruningDue = true;
    }
    if (!this.#isPruningDue || !leads()) return;
    this.#isPruningDue = false;
    await attempts.prune(LIMITS);
  }
}

/** A line that a database takes and a terminal bears, cut where it is too long. */
function plainText(text: string, maxCharacters: number): string {
  const start = text.length > maxCharacters ? `${text.slice(0, maxCharacters)}…` : text;
  return start
    .toWellFormed()
    .replace(
      /[\p{Cc}\p{Cf}\u2028\u2029]/gu,
      (character) => `\\u${character.codePointAt(0)?.toString(16).padStart(4, '0')}`,
    );
}
