import { readFile, stat } from 'node:fs/promises';
import type { TrustBundleSource } from '../config/trust-bundle-source.ts';
import { type Bundle, emptyBundle, sameBundle } from '../spiffe/bundle.ts';
import { parseBundleDocument, parseBundlePem } from '../spiffe/bundle-document.ts';
import { isSpiffeError, SpiffeError } from '../spiffe/error.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import type { AgentDataFile } from './storage/agent-data.ts';

const MAX_BUNDLE_BYTES = 4 * 1024 * 1024;

/** The bundle of the agent's own trust domain: what its server is verified by. Stored with every change. */
export class TrustBundle {
  readonly #data: AgentDataFile;
  #current: Bundle;

  private constructor(data: AgentDataFile, current: Bundle) {
    this.#data = data;
    this.#current = current;
  }

  /**
   * What was stored, or what the configuration names; empty with `insecure_bootstrap`.
   *
   * @throws SpiffeError `FILE_UNUSABLE`, `BUNDLE_INVALID`
   */
  static async open(data: AgentDataFile, source: TrustBundleSource, trustDomain: TrustDomain): Promise<TrustBundle> {
    return new TrustBundle(data, data.current.bundle ?? (await readSource(source, trustDomain)));
  }

  get current(): Bundle {
    return this.#current;
  }

  /** Without an authority nobody can be verified: the first contact has to be taken on trust. */
  get isEmpty(): boolean {
    return this.#current.x509Authorities.length === 0;
  }

  /** @returns whether anything changed. */
  async replace(bundle: Bundle): Promise<boolean> {
    const { current } = this;
    if (bundle.sequenceNumber === current.sequenceNumber && sameBundle(bundle, current)) return false;
    await this.#data.write({ bundle });
    this.#current = bundle;
    return true;
  }
}

/** Inventory B009. */
async function readSource(source: TrustBundleSource, trustDomain: TrustDomain): Promise<Bundle> {
  switch (source.type) {
    case 'insecure':
      return emptyBundle(trustDomain);
    case 'file': {
      const text = await readBundleFile(source.path);
      const parse = source.format === 'pem' ? parseBundlePem : parseBundleDocument;
      return requireAuthorities(
        source.path,
        parseOrExplain(source.path, () => parse(text, trustDomain)),
      );
    }
    case 'url':
    case 'workload_api':
      throw new SpiffeError(
        'CONFIG_INVALID',
        `the trust bundle cannot be fetched from ${source.type === 'url' ? 'a URL' : 'another Workload API'} by this version: ` +
          'save it to a file and name that in trust_bundle_path',
      );
  }
}

async function readBundleFile(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > MAX_BUNDLE_BYTES) throw new Error(`it has ${size} bytes, ${MAX_BUNDLE_BYTES} at most`);
    return await readFile(path, 'utf8');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SpiffeError(
      'FILE_UNUSABLE',
      `the trust bundle "${path}" cannot be read, correct trust_bundle_path: ${reason}`,
      {
        cause,
      },
    );
  }
}

function parseOrExplain(path: string, parse: () => Bundle): Bundle {
  try {
    return parse();
  } catch (cause) {
    if (!isSpiffeError(cause)) throw cause;
    throw new SpiffeError(
      cause.code,
      `the trust bundle "${path}" cannot be used, see trust_bundle_format: ${cause.message}`,
      {
        cause,
      },
    );
  }
}

function requireAuthorities(path: string, bundle: Bundle): Bundle {
  if (bundle.x509Authorities.length > 0) return bundle;
  throw new SpiffeError('BUNDLE_INVALID', `the trust bundle "${path}" has no X.509 authority to verify the server by`);
}
