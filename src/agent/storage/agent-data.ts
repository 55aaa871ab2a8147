import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomically } from '../../files/write-file-atomically.ts';
import type { Logger } from '../../log/logger.ts';
import type { Bundle } from '../../spiffe/bundle.ts';
import { messageOf, SpiffeError } from '../../spiffe/error.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import type { LostAuthority } from '../lost-authorities.ts';
import { FirstFailure } from './first-failure.ts';
import { storedBundle, storedBytes, toStoredBundle, toStoredBytes } from './stored-bundle.ts';

/** The agent's own X.509-SVID; its key stays in the key manager. */
export interface StoredSvid {
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[];
  /** Whether the server takes another attestation of this node. */
  readonly reattestable: boolean;
  readonly receivedAt: Date;
}

export interface AgentData {
  readonly svid?: StoredSvid;
  readonly bundle?: Bundle;
  /** Authorities that are not believed again, whatever the configured source says. */
  readonly lost: readonly LostAuthority[];
}

const FILE_NAME = 'agent.json';
const FORMAT = 'assayer-agent-1';

const schema = z.strictObject({
  format: z.literal(FORMAT),
  svid: z
    .strictObject({
      chain: z.array(storedBytes).min(1),
      reattestable: z.boolean(),
      receivedAt: z.iso.datetime().transform((text) => new Date(text)),
    })
    .optional(),
  bundle: storedBundle.optional(),
  lost: z
    .array(
      z.strictObject({
        sha256: z.string().regex(/^[0-9a-f]{64}$/),
        endsAt: z.iso.datetime().transform((text) => new Date(text)),
      }),
    )
    .optional(),
});

/** What an agent knows of itself and its trust domain from one run to the next: nothing in it is secret. */
export class AgentDataFile {
  readonly #path: string;
  readonly #log: Logger;
  #data: AgentData;
  /** While there is one, the file is behind. */
  readonly #failure = new FirstFailure();

  private constructor(path: string, data: AgentData, log: Logger) {
    this.#path = path;
    this.#data = data;
    this.#log = log;
  }

  /** @throws SpiffeError `FILE_UNUSABLE` for a file that is damaged, newer or of another trust domain. */
  static async open(folder: string, trustDomain: TrustDomain, log: Logger): Promise<AgentDataFile> {
    const path = join(folder, FILE_NAME);
    const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ENOENT') return undefined;
      throw new SpiffeError('FILE_UNUSABLE', `the agent's data "${path}" cannot be read: ${cause.message}`, { cause });
    });
    const data = text === undefined ? toData({}) : parse(path, text);
    if (data.bundle !== undefined && data.bundle.trustDomain !== trustDomain) {
      throw new SpiffeError(
        'FILE_UNUSABLE',
        `the agent's data "${path}" is of trust domain "${data.bundle.trustDomain}", not "${trustDomain}": name another data_dir or remove that one`,
      );
    }
    return new AgentDataFile(path, data, log);
  }

  get path(): string {
    return this.#path;
  }

  get current(): AgentData {
    return this.#data;
  }

  /**
   * Counts at once. Where it cannot be stored, as on a disk that is full, that is logged, the first of several: the agent
   * goes on, {@link storeAgain} tries anew, and a restart before that finds what was stored last.
   */
  async write(changes: {
    readonly svid?: StoredSvid | undefined;
    readonly bundle?: Bundle;
    readonly lost?: readonly LostAuthority[];
  }): Promise<void> {
    this.#data = toData({ ...this.#data, ...changes });
    await this.#store();
  }

  /** Does nothing where all is stored. */
  async storeAgain(): Promise<void> {
    if (this.#failure.isBroken) await this.#store();
  }

  async #store(): Promise<void> {
    await this.#failure.run(
      () => writeFileAtomically(this.#path, formatData(this.#data)),
      (error) =>
        this.#log.warning('what the agent is to know after a restart cannot be stored, which may have to attest anew', {
          reason: messageOf(error),
        }),
      () => this.#log.info('what the agent is to know after a restart is stored again'),
    );
  }
}

function formatData({ svid, bundle, lost }: AgentData): string {
  const content: z.input<typeof schema> = {
    format: FORMAT,
    ...(svid === undefined ? {} : { svid: toStored(svid) }),
    ...(bundle === undefined ? {} : { bundle: toStoredBundle(bundle) }),
    ...(lost.length === 0 ? {} : { lost: lost.map((each) => ({ ...each, endsAt: each.endsAt.toISOString() })) }),
  };
  return `${JSON.stringify(content, undefined, 2)}\n`;
}

function toData({
  svid,
  bundle,
  lost = [],
}: {
  readonly svid?: StoredSvid | undefined;
  readonly bundle?: Bundle | undefined;
  readonly lost?: readonly LostAuthority[] | undefined;
}): AgentData {
  return { ...(svid === undefined ? {} : { svid }), ...(bundle === undefined ? {} : { bundle }), lost };
}

function toStored({ chain, reattestable, receivedAt }: StoredSvid): NonNullable<z.input<typeof schema>['svid']> {
  return { chain: chain.map(toStoredBytes), reattestable, receivedAt: receivedAt.toISOString() };
}

function parse(path: string, text: string): AgentData {
  try {
    return toData(schema.parse(JSON.parse(text)));
  } catch (cause) {
    throw new SpiffeError(
      'FILE_UNUSABLE',
      `the agent's data "${path}" is damaged or of a newer version: restore it, or remove it so that the agent attests anew`,
      { cause },
    );
  }
}
