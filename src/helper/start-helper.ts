import type { HelperConfig, JwtFile } from '../config/helper-config.ts';
import { openHealthEndpoint } from '../http/health-endpoint.ts';
import type { Logger } from '../log/logger.ts';
import { decodeUnverifiedJwtSvid } from '../spiffe/jwt-svid.ts';
import { parseSpiffeId, trustDomainOf } from '../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import { parseWorkloadSvids } from '../spiffe/workload-svid.ts';
import { findOwner, requireCertificateFolder } from './certificate-folder.ts';
import { jwtBundleFiles } from './jwt-files.ts';
import { Notifier } from './notifier.ts';
import { Part } from './part.ts';
import { createPublisher, type Publisher, type WrittenFile } from './publisher.ts';
import { tryAgain } from './try-again.ts';
import { WorkloadClient } from './workload-client.ts';
import { chooseByHint, x509Files } from './x509-files.ts';

export interface RunningHelper extends AsyncDisposable {
  /** With `daemon_mode = false`: settles once everything was written, and is rejected where that failed. */
  readonly ended: Promise<void>;
}

export interface HelperOptions {
  readonly log: Logger;
  readonly signal?: AbortSignal;
}

/** A JWT-SVID is replaced when half of its life is over; one of seconds not more often than this. */
const SHORTEST_JWT_PAUSE_MS = 1_000;

/**
 * Writes what the Workload API gives, and keeps it up to date.
 *
 * @throws SpiffeError `FILE_UNUSABLE`, `CONFIG_INVALID`, `SOCKET_UNUSABLE` for what can be told before anything is asked
 */
export async function startHelper(config: HelperConfig, { log, signal }: HelperOptions): Promise<RunningHelper> {
  await requireCertificateFolder(config.certDir);
  const owner = config.owner === undefined ? undefined : await findOwner(config.owner);
  await using stack = new AsyncDisposableStack();
  const stop = new AbortController();
  const publisher = createPublisher(config, namesOf(config), owner);
  const notifier = new Notifier(config, log);
  const stopped = AbortSignal.any([stop.signal, ...(signal === undefined ? [] : [signal])]);
  const client = new WorkloadClient(config.agentSocket, stopped);
  const work = new HelperWork({ config, log, publisher, notifier, client, signal: stopped });
  stack.use(notifier);
  stack.use(
    (await openHealthEndpoint({ config: config.healthChecks, checks: work.healthChecks(), log })) ?? NOTHING_OPEN,
  );
  const ended = work.run();
  ended.catch(() => {}); // whoever waits for it hears of it
  stack.defer(async () => {
    stop.abort();
    await ended.catch(() => {});
  });
  const resources = stack.move();
  return { ended, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

const NOTHING_OPEN: AsyncDisposable = { [Symbol.asyncDispose]: async () => {} };

function namesOf({ x509, jwtSvids, jwtBundles, jwks }: HelperConfig): readonly string[] {
  const files = [x509?.svid, x509?.key, x509?.bundle, ...jwtSvids, jwtBundles, jwks];
  return [...new Set(files.flatMap((file) => (file === undefined ? [] : [file.name])))];
}

interface WorkOptions {
  readonly config: HelperConfig;
  readonly log: Logger;
  readonly publisher: Publisher;
  readonly notifier: Notifier;
  readonly client: WorkloadClient;
  readonly signal: AbortSignal;
}

class HelperWork {
  readonly #options: WorkOptions;
  readonly #parts: Part[] = [];
  readonly #tasks: (() => Promise<void>)[] = [];
  #publishing: Promise<unknown> = Promise.resolve();

  constructor(options: WorkOptions) {
    this.#options = options;
    const { x509, jwtSvids, jwtBundles, jwks } = options.config;
    if (x509 !== undefined) this.#add('x509', (part, onProgress) => this.#watchX509(x509, part, onProgress));
    for (const file of jwtSvids) this.#add(`jwt_svid ${file.name}`, (part) => this.#fetchJwtSvid(file, part));
    if (jwtBundles === undefined && jwks === undefined) return;
    this.#add('jwt_bundles', (part, onProgress) => this.#watchJwtBundles(part, onProgress));
  }

  #add(name: string, work: (part: Part, onProgress: () => void) => Promise<number>): void {
    const { config, log, client, signal } = this.#options;
    const part = new Part(name, log);
    this.#parts.push(part);
    this.#tasks.push(async () => {
      if (!config.isDaemon) {
        await work(part, () => {}).catch((error: unknown) => {
          if (signal.aborted) return;
          part.fail(error, client.socketPath);
          part.check(new Date());
          throw error;
        });
        return;
      }
      await tryAgain(
        (onProgress) => work(part, onProgress),
        (error) => part.fail(error, client.socketPath),
        signal,
      );
    });
  }

  /** Until the signal; without a daemon, until everything was written. */
  async run(): Promise<void> {
    await Promise.all(this.#tasks.map((task) => task()));
  }

  healthChecks() {
    const { notifier } = this.#options;
    const parts = this.#parts.map((part) => ({
      name: part.name,
      reasonKey: 'reason',
      isLiveAnyway: () => !part.isFileProblem,
      check: async () => part.check(new Date()),
    }));
    const told = { name: 'reload', reasonKey: 'reason', isLiveAnyway: () => true, check: async () => notifier.check() };
    return [...parts, told];
  }

  async #watchX509(files: NonNullable<HelperConfig['x509']>, part: Part, onProgress: () => void): Promise<number> {
    const { config, log, client, notifier } = this.#options;
    await client.watch(
      (api, options) => api.fetchX509SVID({}, options),
      async (answer) => {
        const svid = chooseByHint(parseWorkloadSvids(answer), config.hint);
        const [leaf] = svid.chain;
        const isNew = await this.#publish(x509Files(svid, files, new Date()));
        part.succeed(leaf?.notAfter);
        onProgress();
        if (!isNew) return;
        log.info('certificate, key and bundle were written', {
          spiffe_id: svid.spiffeId,
          expires_at: leaf?.notAfter.toISOString(),
        });
        if (config.isDaemon) notifier.notify();
      },
      !config.isDaemon,
    );
    return 0;
  }

  async #fetchJwtSvid({ name, mode, audience }: JwtFile, part: Part): Promise<number> {
    const { config, log, client } = this.#options;
    const { svids } = await client.ask((api, options) =>
      api.fetchJWTSVID({ audience: [...audience], spiffeId: '' }, options),
    );
    const { svid, spiffeId } = chooseByHint(svids, config.hint);
    const { expiresAt } = decodeUnverifiedJwtSvid(svid);
    await this.#publish([{ name, mode, content: svid }]);
    part.succeed(expiresAt);
    log.info('JWT-SVID was written', { file: name, spiffe_id: spiffeId, expires_at: expiresAt.toISOString() });
    return Math.max((expiresAt.getTime() - Date.now()) / 2, SHORTEST_JWT_PAUSE_MS);
  }

  async #watchJwtBundles(part: Part, onProgress: () => void): Promise<number> {
    const { config, log, client } = this.#options;
    const own = config.jwks === undefined ? undefined : await this.#ownTrustDomain();
    await client.watch(
      (api, options) => api.fetchJWTBundles({}, options),
      async ({ bundles }) => {
        const isNew = await this.#publish(jwtBundleFiles(bundles, config, own));
        part.succeed();
        onProgress();
        if (isNew) log.info('JWT bundles were written', { trust_domains: Object.keys(bundles).length });
      },
      !config.isDaemon,
    );
    return 0;
  }

  /** Of the identity that is wanted. */
  async #ownTrustDomain(): Promise<TrustDomain> {
    const { config, client } = this.#options;
    let own: TrustDomain | undefined;
    await client.watch(
      (api, options) => api.fetchX509SVID({}, options),
      async ({ svids }) => {
        own = trustDomainOf(parseSpiffeId(chooseByHint(svids, config.hint).spiffeId));
      },
      true,
    );
    if (own === undefined) throw new Error('the stream ended well without an answer');
    return own;
  }

  /** One after the other. */
  async #publish(files: readonly WrittenFile[]): Promise<boolean> {
    const published = this.#publishing.then(() => this.#options.publisher.publish(files));
    this.#publishing = published.catch(() => {});
    return await published;
  }
}
