import { createHash } from 'node:crypto';
import { Pkcs11Token } from '../../pkcs11/pkcs11-token.ts';
import type { KeyName, ListedKey } from '../../pkcs11/protocol.ts';
import { RefusedPins } from '../../pkcs11/refused-pins.ts';
import { toScheme } from '../../pkcs11/signature-scheme.ts';
import {
  type ConfigureContext,
  type KeyRecord,
  type KeyType,
  keyTypeOfSpki,
  messageOf,
  type SignatureOptions,
  SpiffeError,
} from '../../plugin-sdk/index.ts';
import { openLockFolder } from '../../tpm-device/tpm-lock.ts';
import type { Pkcs11Config } from './config.ts';
import { readKeyIdentifier } from './key-identifier.ts';
import { labelPrefix, newCkaId, sortKeys } from './key-names.ts';
import { readPin } from './read-pin.ts';

interface HeldKey {
  readonly name: KeyName;
  readonly record: KeyRecord;
}

/** The keys of one server or agent on a token. */
export class TokenKeys implements AsyncDisposable {
  readonly #token: Pkcs11Token;
  readonly #prefix: string;
  readonly #log: ConfigureContext['log'];
  #keys = new Map<string, HeldKey>();
  /** Keys with a newer one, until they are destroyed. */
  #leftOver: readonly KeyName[] = [];
  #newest = 0n;
  /** One key is made after the other, and nobody looks for keys meanwhile. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(token: Pkcs11Token, prefix: string, log: ConfigureContext['log']) {
    this.#token = token;
    this.#prefix = prefix;
    this.#log = log;
  }

  /**
   * Logs in, and finds what this server or agent has on the token.
   *
   * @throws SpiffeError with what to do: the module, the token, the PIN
   */
  static async open(
    config: Pkcs11Config,
    side: 'server' | 'agent',
    { log, trustDomain }: Pick<ConfigureContext, 'log' | 'trustDomain'>,
    refusedPins = new RefusedPins(openLockFolder, log),
  ): Promise<TokenKeys> {
    const prefix = labelPrefix({ trustDomain, side, identifier: await readKeyIdentifier(config) });
    await using undo = new AsyncDisposableStack();
    const token = await Pkcs11Token.open({
      modulePath: config.module_path,
      selection: { label: config.token_label, serial: config.token_serial },
      maxSessions: config.max_sessions,
      readPin: () => readPin(config),
      refusedPins,
      log,
    });
    const keys = undo.use(new TokenKeys(token, prefix, log));
    await keys.#load();
    await keys.#destroyLeftOver();
    const { label, serial, manufacturer, model } = token.facts ?? {};
    log.log('info', 'logged in to the PKCS#11 token', {
      ...{ label, serial, manufacturer, model },
      ...{ keys: keys.#keys.size, label_prefix: prefix },
    });
    undo.move();
    return keys;
  }

  /** The new key counts once it has signed; the one that had the id goes after that. */
  async generate(id: string, type: KeyType): Promise<KeyRecord> {
    return await this.#inTurn(() => this.#replace(id, type));
  }

  find(id: string): KeyRecord | undefined {
    return this.#keys.get(id)?.record;
  }

  list(): readonly KeyRecord[] {
    return [...this.#keys.values()].map(({ record }) => record).toSorted((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** @throws SpiffeError `KEY_NOT_FOUND`, `ARGUMENT_INVALID`, `UNAVAILABLE` */
  async sign(
    id: string,
    digest: Uint8Array,
    options: SignatureOptions,
  ): Promise<{ signature: Uint8Array; fingerprint: string }> {
    const held = this.#keys.get(id);
    if (held === undefined) throw new SpiffeError('KEY_NOT_FOUND', `no such key "${id}"`);
    const signed = await this.#signWith(held, digest, options);
    if (signed !== undefined) return signed;
    await this.#inTurn(() => this.#load()); // another process may have replaced it, or somebody removed it
    const now = this.#keys.get(id);
    if (now === undefined) this.#keys.set(id, held); // it may be there again later
    const again = now && (await this.#signWith(now, digest, options));
    if (again !== undefined) return again;
    throw new SpiffeError('KEY_NOT_FOUND', `the PKCS#11 token has no key with the label "${held.name.label}" any more`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#token[Symbol.asyncDispose]();
  }

  async #signWith(
    { name, record }: HeldKey,
    digest: Uint8Array,
    options: SignatureOptions,
  ): Promise<{ signature: Uint8Array; fingerprint: string } | undefined> {
    const { type, fingerprint } = record;
    const how = toScheme(type, digest, options);
    const signature = await this.#token.sign(name, { type, digest: new Uint8Array(digest), how });
    return signature && { signature, fingerprint };
  }

  async #replace(id: string, type: KeyType): Promise<KeyRecord> {
    const name = { label: `${this.#prefix}${id}`, ckaId: newCkaId(this.#newest) };
    const publicKey = await this.#token.generate(name, type);
    const held = hold(id, { ...name, publicKey });
    this.#keys.set(id, held);
    this.#log.log('info', 'made a key on the PKCS#11 token', { key_id: id, type });
    try {
      await this.#load();
      await this.#destroyLeftOver();
    } catch (error) {
      const reason = messageOf(error);
      this.#log.log('warning', 'cannot look for the keys that this one replaces', { key_id: id, reason });
    }
    return held.record;
  }

  async #inTurn<Result>(run: () => Promise<Result>): Promise<Result> {
    const turn = this.#last.then(run);
    this.#last = turn.catch(() => {});
    return await turn;
  }

  async #load(): Promise<void> {
    const { current, leftOver, newest } = sortKeys(await this.#token.list(this.#prefix));
    const found = [...current.values()].map((key) => hold(key.label.slice(this.#prefix.length), key));
    for (const { id, fingerprint } of found.map(({ record }) => record)) {
      const known = this.#keys.get(id);
      if (known !== undefined && known.record.fingerprint !== fingerprint) this.#warnOfOther(id);
    }
    this.#keys = new Map(found.map((held) => [held.record.id, held]));
    this.#leftOver = leftOver;
    this.#newest = newest;
  }

  #warnOfOther(id: string): void {
    const reason = 'programs that share a token need a "key_identifier_value" of their own';
    this.#log.log('warning', 'another process has replaced a key on the PKCS#11 token', { key_id: id, reason });
  }

  /** What cannot be destroyed now is tried again each time. */
  async #destroyLeftOver(): Promise<void> {
    const names = this.#leftOver.map(({ label, ckaId }) => ({ label, ckaId }));
    if (names.length === 0) return;
    try {
      await this.#token.destroy(names);
      this.#leftOver = [];
    } catch (error) {
      this.#log.log('warning', 'keys that were replaced are still on the PKCS#11 token', {
        count: names.length,
        reason: messageOf(error),
      });
    }
  }
}

/** @throws SpiffeError `FAILED_PRECONDITION` for a key of a type that we do not make */
function hold(
  id: string,
  { label, ckaId, publicKey = new Uint8Array() }: KeyName & Pick<ListedKey, 'publicKey'>,
): HeldKey {
  const fingerprint = createHash('sha256').update(publicKey).digest('hex');
  return { name: { label, ckaId }, record: { id, type: typeOf(label, publicKey), publicKey, fingerprint } };
}

function typeOf(label: string, publicKey: Uint8Array): KeyType {
  try {
    return keyTypeOfSpki(publicKey);
  } catch (cause) {
    const advice = 'somebody else made it: remove it from the token';
    throw new SpiffeError('FAILED_PRECONDITION', `the key "${label}" is of a type that we do not make: ${advice}`, {
      cause,
    });
  }
}
