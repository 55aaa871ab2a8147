import type { KeyObject } from 'node:crypto';
import {
  decodePem,
  isSpiffeError,
  parseCertificate,
  publicKeyOfSpki,
  requestFromWeb,
  SpiffeError,
  z,
} from '../../plugin-sdk/index.ts';
import { type Fetched, LastingValue } from '../cloud/lasting-value.ts';
import { parseAnswer } from '../cloud/parse-answer.ts';

const NAME = 'Google’s list of certificates';
const DEADLINE_MS = 10_000;
const MAX_BYTES = 256 * 1024;
const MAX_KEYS = 64;
/** Whatever the answer says: a list without a date is not asked for with every attestation, and none is kept for ever. */
const LEAST_MS = 60_000;
const MOST_MS = 24 * 60 * 60 * 1000;

interface GoogleKey {
  readonly key: KeyObject;
  readonly notBefore: Date;
  readonly notAfter: Date;
}
type Keys = ReadonlyMap<string, GoogleKey>;

/** Google's keys for identity tokens, by name, as long as the answer may be kept. */
export class GoogleKeys {
  readonly #keys: LastingValue<Keys>;
  /** When the list was last asked for although there was one; Unix milliseconds. */
  #renewedMs = 0;

  constructor(url: URL) {
    this.#keys = new LastingValue(() => fetchKeys(url));
  }

  /** A key whose certificate is in its time. @throws SpiffeError where the list cannot be had */
  async find(keyId: string, now: Date): Promise<KeyObject | undefined> {
    const found = (await this.#keys.get()).get(keyId) ?? (await this.#findNew(keyId));
    return found !== undefined && found.notBefore <= now && now <= found.notAfter ? found.key : undefined;
  }

  /** A key that came up after the list did: looked for once a minute, so that nobody has the list fetched at will. */
  async #findNew(keyId: string): Promise<GoogleKey | undefined> {
    const nowMs = Date.now();
    if (nowMs - this.#renewedMs < LEAST_MS) return undefined;
    this.#renewedMs = nowMs;
    return (await this.#keys.renew()).get(keyId);
  }
}

async function fetchKeys(url: URL): Promise<Fetched<Keys>> {
  const { status, headers, body } = await requestFromWeb({
    ...{ name: NAME, url, maxBytes: MAX_BYTES, deadlineMs: DEADLINE_MS },
    signal: new AbortController().signal,
  });
  if (status !== 200) throw new SpiffeError('UNAVAILABLE', `${NAME} is answered with status ${status}`);
  const listed = Object.entries(parseAnswer(body, z.record(z.string(), z.string()), NAME));
  if (listed.length > MAX_KEYS)
    throw new SpiffeError('TOO_LARGE', `${NAME} has ${listed.length} keys, over ${MAX_KEYS}`);
  const value = new Map(listed.map(([keyId, pem]) => [keyId, readKey(pem)] as const));
  return { value, usableUntilMs: Date.now() + lifetimeMs(headers) };
}

function readKey(pem: string): GoogleKey {
  try {
    const [der, ...more] = decodePem(pem, 'CERTIFICATE');
    if (der === undefined || more.length > 0) throw new SpiffeError('ARGUMENT_INVALID', 'it is not one certificate');
    const { subjectPublicKeyInfo, notBefore, notAfter } = parseCertificate(der);
    return { key: publicKeyOfSpki(subjectPublicKeyInfo), notBefore, notAfter };
  } catch (cause) {
    if (!isSpiffeError(cause)) throw cause;
    throw new SpiffeError('UNAVAILABLE', `${NAME} has one that cannot be read: ${cause.message}`, { cause });
  }
}

/** RFC 9111 §5.2.2.1, §5.3 */
function lifetimeMs(headers: Readonly<Record<string, string | string[] | undefined>>): number {
  const [, seconds] = /(?:^|[\s,])max-age=(\d{1,9})(?:[\s,]|$)/.exec(String(headers['cache-control'] ?? '')) ?? [];
  const given = seconds === undefined ? Date.parse(String(headers.expires)) - Date.now() : Number(seconds) * 1000;
  return Math.min(Math.max(Number.isNaN(given) ? 0 : given, LEAST_MS), MOST_MS);
}
