import {
  type Certificate,
  decodePem,
  findIssuerUrls,
  isSpiffeError,
  parseCertificate,
  quoteText,
  RecentMap,
  requestFromWeb,
  SpiffeError,
} from '../../plugin-sdk/index.ts';

const NAME = 'the list of Microsoft’s authorities';
const DEADLINE_MS = 10_000;
const MAX_BYTES = 64 * 1024;
const MAX_ISSUERS = 64;

/**
 * Fetches the authority above a certificate from where the certificate says that it is: nothing about it is verified yet, so
 * only certain hosts are asked. What was found is kept.
 *
 * @param hosts `host` or `host:port`
 */
export class IssuerSource {
  readonly #hosts: readonly string[];
  readonly #found = new RecentMap<string, Certificate>(MAX_ISSUERS);

  constructor(hosts: readonly string[]) {
    this.#hosts = hosts;
  }

  /** @throws SpiffeError `ATTESTATION_DENIED` where the certificate names nobody who may be asked, `UNAVAILABLE` */
  async find(certificate: Certificate, signal: AbortSignal): Promise<Certificate> {
    const urls = findIssuerUrls(certificate);
    const url = urls.flatMap((text) => (URL.canParse(text) ? [new URL(text)] : [])).find((one) => this.#isAllowed(one));
    if (url === undefined) {
      const named = urls.length === 0 ? 'nowhere' : `at ${quoteText(urls.join(', '))}`;
      throw new SpiffeError(
        'ATTESTATION_DENIED',
        `the authority above the attested document’s certificate is ${named}, and only ${this.#hosts.join(', ')} is asked`,
      );
    }
    const known = this.#found.get(url.href);
    if (known !== undefined) return known;
    const fetched = await fetchCertificate(url, signal);
    this.#found.set(url.href, fetched);
    return fetched;
  }

  #isAllowed({ protocol, host, username }: URL): boolean {
    return /^https?:$/.test(protocol) && username === '' && this.#hosts.includes(host);
  }
}

/** RFC 5280 §4.2.2.1: DER; some have PEM. */
async function fetchCertificate(url: URL, signal: AbortSignal): Promise<Certificate> {
  const { status, body } = await requestFromWeb({
    name: NAME,
    url,
    signal,
    maxBytes: MAX_BYTES,
    deadlineMs: DEADLINE_MS,
  });
  if (status !== 200) throw new SpiffeError('UNAVAILABLE', `${NAME} answered with status ${status}`);
  try {
    const [pem] = body.subarray(0, 64).toString('latin1').includes('-----BEGIN')
      ? decodePem(body.toString('latin1'), 'CERTIFICATE')
      : [];
    return parseCertificate(pem ?? body);
  } catch (cause) {
    if (!isSpiffeError(cause)) throw cause;
    throw new SpiffeError('UNAVAILABLE', `${NAME} has no certificate that can be read: ${cause.message}`, { cause });
  }
}
