/** Where the first bundle comes from, before the server can be trusted. Source: inventory B009. */
export type TrustBundleSource =
  | { readonly type: 'file'; readonly path: string; readonly format: TrustBundleFormat }
  | { readonly type: 'url'; readonly url: string; readonly format: TrustBundleFormat; readonly unixSocket?: string }
  | { readonly type: 'workload_api'; readonly address: string }
  | { readonly type: 'insecure' };
export type TrustBundleFormat = 'pem' | 'spiffe';

interface TrustBundleKeys {
  readonly insecure_bootstrap: boolean;
  readonly trust_bundle_format?: TrustBundleFormat | undefined;
  readonly trust_bundle_path?: string | undefined;
  readonly trust_bundle_url?: string | undefined;
  readonly trust_bundle_unix_socket?: string | undefined;
  readonly trust_bundle_spiffe_workload_api?: string | undefined;
}

const SOURCES = ['trust_bundle_path', 'trust_bundle_url', 'trust_bundle_spiffe_workload_api'] as const;

/** Exactly one source, and what a URL must look like. */
export function findTrustBundleSourceProblems(raw: TrustBundleKeys): readonly string[] {
  const given: string[] = SOURCES.filter((key) => raw[key] !== undefined);
  if (raw.insecure_bootstrap === true) given.push('insecure_bootstrap');
  const problems: string[] = [];
  if (given.length === 0)
    problems.push(`one of ${SOURCES.join(', ')} must be configured unless insecure_bootstrap is set`);
  if (given.length > 1) problems.push(`only one of ${given.join(', ')} can be specified`);
  return [...problems, ...findUrlProblems(raw)];
}

function findUrlProblems({
  trust_bundle_url: url,
  trust_bundle_unix_socket: socket,
  trust_bundle_spiffe_workload_api: workloadApi,
}: TrustBundleKeys): readonly string[] {
  if (workloadApi !== undefined && !isWorkloadApiAddress(workloadApi)) {
    return [
      'trust_bundle_spiffe_workload_api must be an address such as "unix:///run/spire/agent.sock"; tcp:// is not encrypted and may name 127.0.0.0/8 or [::1] alone',
    ];
  }
  if (url === undefined) {
    return socket === undefined
      ? []
      : ['trust_bundle_unix_socket needs trust_bundle_url, the URL to ask for over the socket'];
  }
  if (typeof url !== 'string' || !URL.canParse(url)) return ['trust_bundle_url is not a URL'];
  const { protocol, searchParams } = new URL(url);
  if (socket === undefined) return protocol === 'https:' ? [] : ['trust_bundle_url must start with https://'];
  if (protocol !== 'http:') return ['trust_bundle_url must start with http:// where trust_bundle_unix_socket is used'];
  const reserved = [...searchParams.keys()].find((key) => /^(spiffe|spire)-/.test(key));
  return reserved === undefined
    ? []
    : [`trust_bundle_url has the parameter ${reserved}: "spiffe-" and "spire-" are reserved`];
}

/** Source: SPIFFE Workload Endpoint §4, the value of `SPIFFE_ENDPOINT_SOCKET`. */
function isWorkloadApiAddress(address: string): boolean {
  if (/^unix:\/{1,3}[^/]/.test(address)) return true;
  return /^tcp:\/\/(127(\.\d{1,3}){3}|\[::1\]):\d{1,5}$/.test(address) && URL.canParse(address.replace('tcp', 'http'));
}

/** @param raw without problems of {@link findTrustBundleSourceProblems} */
export function toTrustBundleSource(raw: TrustBundleKeys): TrustBundleSource {
  const format = raw.trust_bundle_format ?? 'pem';
  if (raw.trust_bundle_path !== undefined) return { type: 'file', path: raw.trust_bundle_path, format };
  if (raw.trust_bundle_spiffe_workload_api !== undefined) {
    return { type: 'workload_api', address: raw.trust_bundle_spiffe_workload_api };
  }
  if (raw.trust_bundle_url === undefined) return { type: 'insecure' };
  const unixSocket = raw.trust_bundle_unix_socket;
  return { type: 'url', url: raw.trust_bundle_url, format, ...(unixSocket === undefined ? {} : { unixSocket }) };
}
