import type { Logger } from '../log/logger.ts';
import type { TlsListener } from '../rpc/tls-server.ts';
import { type Bundle, hasX509Authority } from '../spiffe/bundle.ts';
import { trustDomainOf } from '../spiffe/spiffe-id.ts';
import { isValidX509Svid } from '../spiffe/trusted-svid.ts';
import type { BundleKeeper } from './bundle-keeper.ts';

/**
 * A handshake verifies once: when an authority is revoked, connections end whose X.509-SVID nothing verifies any more. Those of
 * a tainted one stay, until their owners have replaced it.
 *
 * @returns what ends it.
 */
export function cutOffDistrusted(
  tls: TlsListener,
  bundle: Pick<BundleKeeper, 'current' | 'subscribe'>,
  log: Logger,
): () => void {
  let before = bundle.current;
  return bundle.subscribe((current) => {
    const nothingIsGone = hasAll(current, before);
    before = current;
    if (nothingIsGone) return;
    const now = new Date(); // as handshakes are verified by
    const closed = tls.closeConnections(
      ({ spiffeId, certificates }) =>
        spiffeId !== undefined &&
        trustDomainOf(spiffeId) === current.trustDomain &&
        !isValidX509Svid(certificates, current, now),
    );
    if (closed > 0) log.info('connections were cut off: the authority of their X.509-SVIDs is gone', { count: closed });
  });
}

function hasAll(current: Bundle, { x509Authorities }: Bundle): boolean {
  return x509Authorities.every(({ certificate }) => hasX509Authority(current, certificate));
}
