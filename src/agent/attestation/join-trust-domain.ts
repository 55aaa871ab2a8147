import type { Logger } from '../../log/logger.ts';
import type { KeyManager, ManagedKey } from '../../plugin-host/kinds/key-manager.ts';
import { type CallEnded, observed } from '../../rpc/call-observer.ts';
import { validateX509Svid } from '../../spiffe/x509-svid.ts';
import { fetchBundle } from '../server-api/fetch-bundles.ts';
import { ServerConnection, type ServerConnectionOptions } from '../server-api/server-connection.ts';
import type { TrustBundle } from '../trust-bundle.ts';
import { type AgentSvid, attestNode } from './attest-node.ts';
import type { NodeEvidence } from './node-evidence.ts';

export interface JoinOptions {
  readonly server: Pick<ServerConnectionOptions, 'address' | 'port' | 'trustDomain' | 'requirePqKem'>;
  readonly trust: TrustBundle;
  readonly evidence: NodeEvidence;
  readonly keyManager: KeyManager;
  /** Told of every attestation that has ended. */
  readonly onAttested: CallEnded;
  readonly log: Logger;
  readonly clock: () => Date;
}

/** Attests this node over a connection of its own, by the newest bundle. */
export async function joinTrustDomain(
  options: JoinOptions,
  keyInUse: ManagedKey | undefined,
  signal: AbortSignal,
): Promise<AgentSvid> {
  const { server, trust, evidence, onAttested, log, clock } = options;
  if (trust.isEmpty) await trustWhoeverAnswers(options, signal);
  using connection = new ServerConnection({ ...server, bundle: () => trust.current });
  await trust.replace(await fetchBundle(connection, server.trustDomain, signal));
  log.debug('attesting', { attestor: evidence.type });
  const svid = await observed(onAttested, () => attestNode({ ...options, keyInUse, connection, signal }));
  validateX509Svid(svid.chain, trust.current, clock());
  log.info('node attested', {
    attestor: evidence.type,
    spiffe_id: svid.spiffeId,
    reattestable: svid.reattestable,
    expires_at: svid.expiresAt.toISOString(),
  });
  return svid;
}

/** The first contact of `insecure_bootstrap`: the bundle that comes is verified against from then on. */
async function trustWhoeverAnswers({ server, trust, log }: JoinOptions, signal: AbortSignal): Promise<void> {
  log.warning('insecure_bootstrap: the server is taken at its word, an impostor would be too', {
    address: server.address,
    port: server.port,
  });
  using connection = new ServerConnection({ ...server, bundle: () => trust.current, insecure: true });
  await trust.replace(await fetchBundle(connection, server.trustDomain, signal));
}
