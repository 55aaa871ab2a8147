import type { Bundle } from './bundle.ts';
import { isSpiffeError } from './error.ts';
import { validateX509Svid } from './x509-svid.ts';

/** Whether an authority that is not tainted verifies the chain: what hangs on a tainted one is to be replaced. Inventory B002. */
export function isTrustedX509Svid(chain: readonly Uint8Array[], bundle: Bundle, now: Date): boolean {
  return isValidX509Svid(chain, { ...bundle, x509Authorities: untainted(bundle.x509Authorities) }, now);
}

/** Whether any authority of the bundle verifies the chain. */
export function isValidX509Svid(chain: readonly Uint8Array[], bundle: Bundle, now: Date): boolean {
  try {
    validateX509Svid(chain, bundle, now);
    return true;
  } catch (error) {
    if (!isSpiffeError(error)) throw error;
    return false;
  }
}

export function untainted<Authority extends { readonly tainted: boolean }>(
  authorities: readonly Authority[],
): readonly Authority[] {
  return authorities.filter(({ tainted }) => !tainted);
}

/** Whether an X.509 authority that counted in `before` is gone or tainted in `after`. */
export function hasLostX509Authority(before: Bundle, after: Bundle): boolean {
  if (before === after) return false;
  const kept = new Set(untainted(after.x509Authorities).map(({ certificate }) => textOf(certificate)));
  return untainted(before.x509Authorities).some(({ certificate }) => !kept.has(textOf(certificate)));
}

/** Key IDs of the JWT authorities that counted in `before`, and are gone or tainted in `after`. */
export function lostJwtAuthorities(before: Bundle, after: Bundle): ReadonlySet<string> {
  if (before === after) return new Set();
  const kept = new Set(untainted(after.jwtAuthorities).map(({ keyId }) => keyId));
  return new Set(untainted(before.jwtAuthorities).flatMap(({ keyId }) => (kept.has(keyId) ? [] : [keyId])));
}

const textOf = (certificate: Uint8Array) => Buffer.from(certificate).toString('base64');
