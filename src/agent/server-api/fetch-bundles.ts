import { fromApiBundle, fromApiFederatedBundle } from '../../rpc/api-bundle.ts';
import { RemoteError } from '../../rpc/status.ts';
import type { Bundle } from '../../spiffe/bundle.ts';
import { Status } from '../../spiffe/status.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { CALL_DEADLINE_MS, type ServerConnection } from './server-connection.ts';

/** The bundle of the server's own trust domain. */
export async function fetchBundle(
  connection: ServerConnection,
  trustDomain: TrustDomain,
  signal: AbortSignal,
): Promise<Bundle> {
  const bundle = await connection.run((clients) =>
    clients.bundle.getBundle({ outputMask: undefined }, { signal, deadlineMs: CALL_DEADLINE_MS }),
  );
  return fromApiBundle(bundle, trustDomain);
}

/**
 * The bundle of another trust domain, which may have authorities for JWTs alone; undefined where the server has none, or
 * that trust domain has withdrawn all of its authorities.
 */
export async function findFederatedBundle(
  connection: ServerConnection,
  trustDomain: TrustDomain,
  signal: AbortSignal,
): Promise<Bundle | undefined> {
  try {
    const bundle = await connection.run((clients) =>
      clients.bundle.getFederatedBundle(
        { trustDomain, outputMask: undefined },
        { signal, deadlineMs: CALL_DEADLINE_MS },
      ),
    );
    const isEmpty = bundle.x509Authorities.length === 0 && bundle.jwtAuthorities.length === 0;
    return isEmpty ? undefined : fromApiFederatedBundle(bundle, trustDomain);
  } catch (error) {
    if (error instanceof RemoteError && error.status === Status.NotFound) return undefined;
    throw error;
  }
}
