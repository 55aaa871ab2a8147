import { request as requestInClear } from 'node:http';
import { request as requestOverTls } from 'node:https';
import type { TrustBundleSource } from '../../config/trust-bundle-source.ts';
import { DOCUMENT_REQUEST, readDocument } from '../../http/read-document.ts';
import { shownUrl } from '../../http/shown-url.ts';
import { machineRoots } from '../../http/web-roots.ts';
import { isSpiffeError, SpiffeError } from '../../spiffe/error.ts';
import { quoteText } from '../../spiffe/quote-text.ts';

/** For all of it. */
const DEADLINE_MS = 30_000;

/**
 * What is at `trust_bundle_url`: over TLS from a web server that the machine's authorities vouch for, or in clear over a
 * Unix socket. Inventory C099, C100.
 *
 * @param roots PEM
 */
export async function fetchFromUrl(
  { url: text, unixSocket }: TrustBundleSource & { readonly type: 'url' },
  stop: AbortSignal,
  roots: readonly string[] = machineRoots(),
): Promise<string> {
  const url = new URL(text);
  const signal = AbortSignal.any([stop, AbortSignal.timeout(DEADLINE_MS)]);
  const asked = {
    ...DOCUMENT_REQUEST,
    path: `${url.pathname}${url.search}`,
    ...(url.username === '' ? {} : { auth: [url.username, url.password].map(decodeURIComponent).join(':') }),
    agent: false,
    signal,
  } as const;
  const start = () =>
    unixSocket === undefined
      ? requestOverTls({
          ...asked,
          host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
          port: url.port === '' ? 443 : Number(url.port),
          ca: [...roots],
          minVersion: 'TLSv1.2',
        })
      : requestInClear({ ...asked, host: url.hostname, socketPath: unixSocket });
  const name = unixSocket === undefined ? shownUrl(text) : `${shownUrl(text)} at the socket ${quoteText(unixSocket)}`;
  const setting = unixSocket === undefined ? 'trust_bundle_url' : 'trust_bundle_url or trust_bundle_unix_socket';
  try {
    return await readDocument(start, { name: `the trust bundle's server ${name}`, setting, signal });
  } catch (error) {
    throw isUntrusted(error)
      ? new SpiffeError(
          'CERTIFICATE_UNTRUSTED',
          `${error.message}: add its authority to the system's or to NODE_EXTRA_CA_CERTS, or correct the name in trust_bundle_url`,
          { cause: error },
        )
      : error;
  }
}

/** By OpenSSL's and Node's names of what is wrong with a certificate. */
function isUntrusted(error: unknown): error is SpiffeError {
  const cause = isSpiffeError(error) ? error.cause : undefined;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  return /^(CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERR_TLS_CERT_)/.test(code);
}
