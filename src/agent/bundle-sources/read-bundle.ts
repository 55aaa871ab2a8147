import { readFile, stat } from 'node:fs/promises';
import type { TrustBundleFormat, TrustBundleSource } from '../../config/trust-bundle-source.ts';
import { shownUrl } from '../../http/shown-url.ts';
import { type Bundle, emptyBundle } from '../../spiffe/bundle.ts';
import { parseBundleDocument, parseBundlePem } from '../../spiffe/bundle-document.ts';
import { isSpiffeError, messageOf, SpiffeError } from '../../spiffe/error.ts';
import { quoteText } from '../../spiffe/quote-text.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { fetchFromUrl } from './fetch-from-url.ts';
import { fetchFromWorkloadApi } from './fetch-from-workload-api.ts';

const MAX_BUNDLE_BYTES = 4 * 1024 * 1024;

/**
 * The bundle that the configuration names; empty with `insecure_bootstrap`. Inventory B009.
 *
 * @throws SpiffeError `FILE_UNUSABLE`, `BUNDLE_INVALID`, `SERVER_UNREACHABLE`, `TOO_LARGE`
 */
export async function readBundle(
  source: TrustBundleSource,
  trustDomain: TrustDomain,
  signal: AbortSignal,
): Promise<Bundle> {
  switch (source.type) {
    case 'insecure':
      return emptyBundle(trustDomain);
    case 'file':
      return parse(await readBundleFile(source.path), source.format, trustDomain, quoteText(source.path));
    case 'url':
      return parse(await fetchFromUrl(source, signal), source.format, trustDomain, shownUrl(source.url));
    case 'workload_api':
      return requireAuthorities(
        await fetchFromWorkloadApi(source.address, trustDomain, signal),
        quoteText(source.address),
      );
  }
}

async function readBundleFile(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > MAX_BUNDLE_BYTES) throw new Error(`it has ${size} bytes, ${MAX_BUNDLE_BYTES} at most`);
    return await readFile(path, 'utf8');
  } catch (cause) {
    const reason = messageOf(cause);
    throw new SpiffeError(
      'FILE_UNUSABLE',
      `the trust bundle "${path}" cannot be read, correct trust_bundle_path: ${reason}`,
      { cause },
    );
  }
}

/** @param from what it was read from, for messages */
function parse(text: string, format: TrustBundleFormat, trustDomain: TrustDomain, from: string): Bundle {
  try {
    const bundle = format === 'pem' ? parseBundlePem(text, trustDomain) : parseBundleDocument(text, trustDomain);
    return requireAuthorities(bundle, from);
  } catch (cause) {
    if (!isSpiffeError(cause)) throw cause;
    throw new SpiffeError(
      cause.code,
      `the trust bundle ${from} cannot be used, see trust_bundle_format: ${cause.message}`,
      { cause },
    );
  }
}

function requireAuthorities(bundle: Bundle, from: string): Bundle {
  if (bundle.x509Authorities.length > 0) return bundle;
  throw new SpiffeError('BUNDLE_INVALID', `the trust bundle ${from} has no X.509 authority to verify the server by`);
}
