import type { Certificate, TrustDomain } from '../../plugin-sdk/index.ts';

/**
 * `x509pop://<trust domain>/<key>/<value>` of the SAN, by key; the last one where a key stands twice, as SPIRE has it.
 *
 * @param onUnreadable told of names of this form that have no key and value
 */
export function uriSanSelectorsOf(
  { uriNames }: Certificate,
  trustDomain: TrustDomain,
  onUnreadable: (name: string) => void,
): ReadonlyMap<string, string> {
  const prefix = `x509pop://${trustDomain}/`;
  const selectors = new Map<string, string>();
  for (const name of uriNames) {
    if (!name.startsWith(prefix)) continue;
    const path = findDecoded(name.slice(prefix.length).replace(/[?#].*$/s, ''))?.replace(/^\/+|\/+$/g, '');
    const slash = path?.indexOf('/') ?? -1;
    if (path === undefined || slash === -1) onUnreadable(name);
    else selectors.set(path.slice(0, slash), path.slice(slash + 1));
  }
  return selectors;
}

function findDecoded(path: string): string | undefined {
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}
