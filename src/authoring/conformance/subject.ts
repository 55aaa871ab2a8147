import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import type { PluginKind } from '../trial/offered-kinds.ts';
import type { TrialSettings } from '../trial/trial.ts';
import { Session } from './session.ts';
import { StderrLines } from './stderr-lines.ts';

export interface SubjectOptions {
  /** Absolute path. */
  readonly command: string;
  readonly args: readonly string[];
  readonly kind: PluginKind;
  readonly trustDomain: TrustDomain;
  /** What `plugin_data` would have. */
  readonly configText: string;
  readonly handshakeDeadlineMs: number;
  /** What the plugin is called in the configuration; undefined where that does not matter. */
  readonly name?: string | undefined;
  /** Selector values for an SVID store, which say where to put an SVID. */
  readonly metadata: readonly string[];
}

/**
 * The plugin under test. Rules share one start of it, the session, which is made anew once it has ended; what a rule
 * does to a plugin that others must not see it does to a start of its own.
 */
export class Subject implements AsyncDisposable {
  readonly options: SubjectOptions;
  /** The other half of a node attestor, where there is one. */
  readonly peer: Subject | undefined;
  readonly stderr = new StderrLines();
  readonly #own = new Set<Session>();
  #session: Promise<Session> | undefined;

  constructor(options: SubjectOptions, peer?: Subject) {
    this.options = options;
    this.peer = peer;
  }

  /** The start that is shared, as far as it has come. */
  session(): Promise<Session> {
    this.#session ??= this.#start({});
    return this.#session;
  }

  /** The start that is shared, once it can be called. */
  async ready(): Promise<Session> {
    const session = await this.session();
    await session.ready();
    return session;
  }

  /** A start that belongs to the rule, and ends with it. */
  async start(settings: TrialSettings = {}): Promise<Session> {
    const session = await this.#start(settings);
    this.#own.add(session);
    return session;
  }

  /** @returns what befell the plugin in the rule that has ended; the sessions of the rule are gone then */
  async endRule(): Promise<string | undefined> {
    const shared = await this.#session?.catch(() => undefined);
    const sessions = [...(shared === undefined ? [] : [shared]), ...this.#own];
    const crashes = await Promise.all(sessions.map((session) => session.findCrash()));
    const isLost = shared === undefined || shared.hasEnded || crashes[0] !== undefined;
    await Promise.all([...this.#own].map((session) => session[Symbol.asyncDispose]()));
    this.#own.clear();
    if (isLost) this.#session = undefined;
    if (isLost) await shared?.[Symbol.asyncDispose]();
    const ofPeer = await this.peer?.endRule();
    return [...crashes, ofPeer && `the other half: ${ofPeer}`].find((crash) => crash !== undefined);
  }

  /** Ends whatever runs, so that a rule which waits for it comes to its end. */
  async abandon(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    for (const own of this.#own) own.kill();
    await session?.then((started) => started[Symbol.asyncDispose]()).catch(() => {});
    await this.peer?.abandon();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.abandon();
    await this.endRule();
    await this.peer?.[Symbol.asyncDispose]();
  }

  async #start(settings: TrialSettings): Promise<Session> {
    const onStderr = this.stderr.newSource();
    return await Session.start(this.options, { ...settings, onStderr });
  }
}
