import { PluginError } from '../../plugin-host/plugin-error.ts';
import { backoffMs, jittered } from '../../rpc/backoff.ts';
import { type CallEnded, observed } from '../../rpc/call-observer.ts';
import { type Bundle, sameX509Authorities } from '../../spiffe/bundle.ts';
import { isSpiffeError, messageOf, SpiffeError } from '../../spiffe/error.ts';
import { isTrustedX509Svid, isValidX509Svid } from '../../spiffe/trusted-svid.ts';
import { type JoinOptions, joinTrustDomain } from '../attestation/join-trust-domain.ts';
import type { NodeIdentity } from '../identity/node-identity.ts';
import { fetchBundle } from '../server-api/fetch-bundles.ts';
import { isOfServer, isVerdict, type Refusal, refusalOf } from '../server-api/refusal.ts';
import { CALL_DEADLINE_MS, ServerConnection } from '../server-api/server-connection.ts';
import type { AgentDataFile } from '../storage/agent-data.ts';
import type { CacheFile } from '../storage/cache-file.ts';
import type { WorkloadCache } from '../workloads/workload-cache.ts';
import { Pause } from './pause.ts';
import { Rebootstrap, type RebootstrapSettings, WAITING_RETRY_MS } from './rebootstrap.ts';
import { ServerWatch } from './server-watch.ts';
import type { SyncStatus } from './sync-status.ts';
import type { Synchronizer } from './synchronizer.ts';
import { ToldChanges } from './told-changes.ts';

export interface MaintenanceOptions extends JoinOptions {
  readonly identity: NodeIdentity;
  readonly connection: ServerConnection;
  readonly synchronizer: Synchronizer;
  readonly cache: WorkloadCache;
  readonly cacheFile: CacheFile;
  readonly data: AgentDataFile;
  readonly syncIntervalSeconds: number;
  readonly status: SyncStatus;
  readonly rebootstrap: RebootstrapSettings;
  /** Told of every rotation of the agent's SVID that has ended. */
  readonly onRotated: CallEnded;
  /** What the server is told of us. */
  readonly version: string;
}

/** While the server tells of changes, it is asked for them only to be sure. */
const WATCHED_SECONDS = 30;

/**
 * All that an agent does by itself, one thing after the other: keeps its own identity fresh, syncs with the server,
 * keeps what it got on disk, and does what the server says when it turns the agent away.
 */
export class Maintenance implements AsyncDisposable {
  /** Settled when no more rounds follow: rejected where the agent cannot go on, with what to do. */
  readonly ended: Promise<void>;
  /** Settled after the first round, whatever came of it; rejected like `ended`. */
  readonly firstRound: Promise<void>;
  readonly #options: MaintenanceOptions;
  readonly #abort = new AbortController();
  readonly #pause: Pause;
  readonly #watch: ServerWatch;
  readonly #first = Promise.withResolvers<void>();
  readonly #following: Disposable;
  readonly #rebootstrap: Rebootstrap;
  readonly #told = new ToldChanges();
  /** When everything is asked for again, whatever was told: by the clock that only goes forward, and by the machine's. */
  #wholeDue = { atMs: 0, at: new Date(0) };
  #failures = 0;
  /** How often the key manager was started again, and how often when our key was last looked for. */
  #keyManagerRestarts = 0;
  #restartsSeen = 0;
  #isKeyLost = false;
  #failedRenewals = 0;
  /** On the clock of `performance.now()`. */
  #renewAgainAt = 0;
  #mustRejoin: string | undefined;
  /** What our own SVID was last verified by. */
  #followedTrust: Bundle | undefined;
  #postedSequence: bigint | undefined;

  private constructor(options: MaintenanceOptions) {
    this.#options = options;
    this.#pause = new Pause(options.clock);
    this.#rebootstrap = new Rebootstrap({ ...options, settings: options.rebootstrap });
    this.firstRound = this.#first.promise;
    options.cache.onMissing(() => this.#pause.wake());
    this.#following = options.identity.onKeyManagerRestart(() => {
      this.#keyManagerRestarts += 1;
      this.#pause.wake();
    });
    this.#watch = new ServerWatch({
      ...options,
      onChange: (news) => {
        this.#told.add(news);
        this.#pause.news();
      },
      onLost: () => {
        this.#told.addAll();
        this.#pause.wakeWithin(jittered(options.syncIntervalSeconds * 1000));
      },
    });
    this.#watch.start();
    this.ended = this.#run();
    this.firstRound.catch(() => {}); // whoever waits for it sees it
    this.ended.catch(() => {});
  }

  static start(options: MaintenanceOptions): Maintenance {
    return new Maintenance(options);
  }

  /** The server has something that we do not know yet. */
  syncNow(): void {
    this.#told.addAll();
    this.#pause.wake();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#following[Symbol.dispose]();
    this.#abort.abort();
    await this.#watch[Symbol.asyncDispose]();
    await this.ended.catch(() => {});
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    try {
      while (!signal.aborted) {
        this.#pause.begin();
        this.#options.status.begins();
        const delayMs = await this.#round(signal);
        this.#options.status.next(delayMs);
        await this.#pause.wait(delayMs, this.#failures === 0, signal);
      }
    } catch (error) {
      this.#first.reject(error);
      throw error;
    }
    this.#first.resolve();
  }

  /** @returns when to begin the next one, in milliseconds. @throws what ends the agent. */
  async #round(signal: AbortSignal): Promise<number> {
    const { synchronizer, identity, cache, cacheFile, data, status } = this.#options;
    try {
      await data.storeAgain();
      await this.#keepIdentity(signal);
      const named = this.#takeNamed();
      const { hasChanged } = await synchronizer.sync(signal, named);
      this.#failures = 0;
      if (named === undefined) this.#setWholeDue();
      this.#rebootstrap.verified();
      status.succeeded();
      cache.tellWaiting();
      this.#first.resolve();
      await this.#followTrust(signal);
      if (hasChanged && cache.content !== undefined) await cacheFile.write(identity.svid.spiffeId, cache.content);
      await this.#postStatus(signal);
      return this.#untilNext();
    } catch (error) {
      if (signal.aborted) return 0;
      this.#told.addAll();
      this.#failures += 1;
      status.failed(error);
      if (isOfServer(error)) this.#rebootstrap.verified();
      if (isSpiffeError(error, 'CERTIFICATE_UNTRUSTED') && (await this.#bootstrapAnew(signal))) return 0;
      if (this.#failures > 1 && isSpiffeError(error, 'SERVER_UNREACHABLE')) await this.#learnTrust(signal);
      await this.#judge(error);
      status.mustReattest = this.#mustRejoin;
      synchronizer.useRestored();
      status.stands();
      cache.tellWaiting();
      this.#first.resolve();
      const longestMs = this.#rebootstrap.isWaiting ? WAITING_RETRY_MS : undefined;
      const isAtOnce = this.#mustRejoin !== undefined && this.#failures === 1;
      const delayMs = isAtOnce ? 0 : backoffMs(this.#failures, longestMs);
      this.#options.log.warning('the server was not synced with', {
        reason: messageOf(error),
        retry_in_ms: Math.round(delayMs),
      });
      return delayMs;
    }
  }

  async #keepIdentity(signal: AbortSignal): Promise<void> {
    const { identity, clock } = this.#options;
    const { expiresAt, reattestable } = identity.svid;
    await this.#lookForKey();
    const isDue = this.#untilRenewalMs <= 0 || this.#isKeyLost;
    if (identity.untilExpiryMs <= 0) {
      this.#mustRejoin ??= `its X.509-SVID expired at ${expiresAt.toISOString()}, and by this node's clock it is ${clock().toISOString()}`;
    }
    if (this.#mustRejoin !== undefined) await this.#rejoin(signal);
    else if (isDue) await this.#renewInTime(reattestable, signal);
    this.#isKeyLost = false;
  }

  /** What hinders it here, a full disk or a key manager that fails, costs nothing as long as there is an SVID to go on with. */
  async #renewInTime(reattestable: boolean, signal: AbortSignal): Promise<void> {
    const { identity, log } = this.#options;
    try {
      await (reattestable ? this.#rejoin(signal) : this.#renew(signal));
    } catch (error) {
      if (signal.aborted || this.#isKeyLost || !isOfThisNode(error)) throw error;
      this.#failedRenewals += 1;
      const delayMs = backoffMs(this.#failedRenewals);
      this.#renewAgainAt = performance.now() + delayMs;
      log.warning('the X.509-SVID of the agent was not renewed', {
        reason: messageOf(error),
        expires_at: identity.svid.expiresAt.toISOString(),
        retry_in_ms: Math.round(delayMs),
      });
    }
  }

  #renewed(): void {
    this.#failedRenewals = 0;
    this.#renewAgainAt = 0;
  }

  get #untilRenewalMs(): number {
    return Math.max(this.#options.identity.untilRenewalMs, this.#renewAgainAt - performance.now());
  }

  async #lookForKey(): Promise<void> {
    const { identity, log } = this.#options;
    const restarts = this.#keyManagerRestarts;
    if (restarts === this.#restartsSeen) return;
    this.#isKeyLost = !(await identity.hasKey());
    this.#restartsSeen = restarts;
    if (this.#isKeyLost)
      log.warning('the key manager has lost the key of the agent, which asks for another X.509-SVID');
  }

  /** Over the connection there is, which the old key was for. */
  async #renew(signal: AbortSignal): Promise<void> {
    const { identity, connection, onRotated } = this.#options;
    await observed(onRotated, () => identity.renew(connection, signal));
    connection.reconnect();
    this.#renewed();
  }

  async #rejoin(signal: AbortSignal): Promise<void> {
    const { identity, connection, onRotated } = this.#options;
    await observed(onRotated, async () => {
      await identity.use(await joinTrustDomain(this.#options, identity.svid.key, signal));
    });
    this.#mustRejoin = undefined;
    this.#options.status.mustReattest = undefined;
    this.#told.addAll();
    connection.reconnect();
    this.#renewed();
  }

  /** Begins as a new agent would, with a server that our bundle does not verify. @returns whether it did. @throws what ends the agent */
  async #bootstrapAnew(signal: AbortSignal): Promise<boolean> {
    const { identity, data } = this.#options;
    const { spiffeId, reattestable } = identity.svid;
    const outcome = await this.#rebootstrap.attempt(reattestable, signal, () => this.#rejoin(signal));
    if (outcome === 'joined') this.#failures = 0;
    if (outcome === 'joined' || outcome === 'not now') return outcome === 'joined';
    await data.write({ svid: undefined });
    throw ended(
      outcome.refusedBy,
      `agent ${spiffeId} has the bundle of its new server now, and was refused as a new agent: ${messageOf(outcome.refusedBy)}; ` +
        'an agent that joins by a token needs a new one of "assayer server token generate": set join_token and start it again',
    );
  }

  /** Decides what an error means for the agent. @throws SpiffeError where it means the end. */
  async #judge(error: unknown): Promise<void> {
    const { evidence, data, cacheFile } = this.#options;
    const { spiffeId } = this.#options.identity.svid;
    const refusal = refusalOf(error);
    if (refusal === 'banned') {
      await data.write({ svid: undefined });
      await cacheFile.remove();
      throw ended(
        error,
        `the server has banned this agent, ${spiffeId}: it stops; "assayer server agent evict -spiffeID ${spiffeId}" lets it attest again`,
      );
    }
    if (refusal !== undefined) {
      this.#mustRejoin = WORDS[refusal];
      if (refusal === 'evicted') await data.write({ svid: undefined });
    }
    if (this.#mustRejoin === undefined) return;
    if (!evidence.isAvailable) {
      await cacheFile.remove();
      throw ended(
        error,
        `agent ${spiffeId} has to attest again, ${this.#mustRejoin}, and a join token is good only once: ` +
          'make a new one with "assayer server token generate", set join_token and start the agent again',
      );
    }
    if (refusal === undefined && isVerdict(error)) {
      throw ended(
        error,
        `agent ${spiffeId} has to attest again, ${this.#mustRejoin}, and was refused: ${messageOf(error)}`,
      );
    }
  }

  /** The next connection is verified by what counts now; and our own SVID may be by an authority that counts no more. */
  async #followTrust(signal: AbortSignal): Promise<void> {
    const { identity, connection, trust, clock } = this.#options;
    const { current } = trust;
    const followed = this.#followedTrust;
    if (followed === current) return;
    if (followed !== undefined && !sameX509Authorities(followed.x509Authorities, current.x509Authorities)) {
      connection.reconnect();
    }
    if (!isTrustedX509Svid(identity.svid.chain, current, clock())) await this.#replaceIdentity(signal);
    this.#followedTrust = current;
  }

  async #replaceIdentity(signal: AbortSignal): Promise<void> {
    const { identity, log } = this.#options;
    log.info('the authority that signed the X.509-SVID of the agent is trusted no more: it gets another one');
    if (!this.#isIdentityValid()) this.#mustRejoin = REVOKED;
    if (this.#mustRejoin !== undefined || identity.svid.reattestable) return await this.#rejoin(signal);
    await this.#renew(signal);
  }

  /** Whether the server can still verify our SVID, by what we know. */
  #isIdentityValid(): boolean {
    const { identity, trust, clock } = this.#options;
    return isValidX509Svid(identity.svid.chain, trust.current, clock());
  }

  /**
   * The server may have hung up on us because the authority that signed our SVID is revoked, which we could not learn of: whoever
   * shows no SVID may ask for the bundle.
   */
  async #learnTrust(signal: AbortSignal): Promise<void> {
    const { server, trust, log } = this.#options;
    try {
      using connection = new ServerConnection({ ...server, bundle: () => trust.current });
      await trust.replace(await fetchBundle(connection, server.trustDomain, signal));
    } catch (error) {
      log.debug('the bundle could not be had without an identity', { reason: messageOf(error) });
      return;
    }
    if (!this.#isIdentityValid()) this.#mustRejoin ??= REVOKED;
  }

  async #postStatus(signal: AbortSignal): Promise<void> {
    const { connection, trust, version, log } = this.#options;
    const { sequenceNumber } = trust.current;
    if (sequenceNumber === this.#postedSequence) return;
    this.#postedSequence = sequenceNumber;
    try {
      const status = { currentBundleSerial: sequenceNumber, agentVersion: version };
      await connection.run(({ agent }) => agent.postStatus(status, { signal, deadlineMs: CALL_DEADLINE_MS }));
    } catch (error) {
      log.debug('the server did not take our status', { reason: messageOf(error) }); // SPIRE's older ones do not have it
    }
  }

  /** The only entries to ask for. Undefined: everything, as of a server that tells nothing, or not to have to trust its word alone. */
  #takeNamed(): ReadonlySet<string> | undefined {
    const named = this.#told.take();
    const { atMs, at } = this.#wholeDue;
    const isDue = performance.now() >= atMs || this.#options.clock() >= at;
    return isDue || !this.#watch.isWatching ? undefined : named;
  }

  #setWholeDue(): void {
    const { syncIntervalSeconds, clock } = this.#options;
    const intervalSeconds = this.#watch.isWatching
      ? Math.max(syncIntervalSeconds, WATCHED_SECONDS)
      : syncIntervalSeconds;
    const delayMs = jittered(intervalSeconds * 1000);
    this.#wholeDue = { atMs: performance.now() + delayMs, at: new Date(clock().getTime() + delayMs) };
  }

  #untilNext(): number {
    const rotationMs = this.#options.synchronizer.untilNextRotationMs();
    const times = [this.#untilRenewalMs, ...(rotationMs === undefined ? [] : [rotationMs])];
    return Math.max(0, Math.min(this.#wholeDue.atMs - performance.now(), ...times));
  }
}

const WORDS: Readonly<Record<Exclude<Refusal, 'banned'>, string>> = {
  evicted: 'the server does not know it any more',
  must_reattest: 'the server wants to see it do so',
};

const REVOKED = 'the authority that signed its X.509-SVID was revoked';

/** Whether it is about what only this node has, and not the server's word or the way there. */
function isOfThisNode(error: unknown): boolean {
  if (!isSpiffeError(error)) return error instanceof PluginError;
  return error.code === 'FILE_UNUSABLE' || error.code.startsWith('PLUGIN_');
}

function ended(cause: unknown, message: string): SpiffeError {
  return new SpiffeError('PERMISSION_DENIED', message, { cause });
}
