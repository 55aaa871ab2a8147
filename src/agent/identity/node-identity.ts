import type { Logger } from '../../log/logger.ts';
import type { KeyManager } from '../../plugin-host/kinds/key-manager.ts';
import { ManagedTlsKey } from '../../rpc/managed-tls-key.ts';
import type { IdentitySource } from '../../rpc/svid-listener.ts';
import type { TlsIdentity } from '../../rpc/tls-identity.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { isAgentId, type SpiffeId, trustDomainOf } from '../../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { requireX509SvidLeaf } from '../../spiffe/x509-svid.ts';
import { parseCertificate } from '../../x509/certificate.ts';
import { createCsr } from '../../x509/csr.ts';
import type { AgentSvid } from '../attestation/attest-node.ts';
import { CALL_DEADLINE_MS, type ServerConnection } from '../server-api/server-connection.ts';
import type { AgentDataFile } from '../storage/agent-data.ts';
import { findAgentKey, generateAgentKey } from './agent-keys.ts';
import { requireReceivedSvid } from './received-svid.ts';
import { missesTarget, rotationTime, TARGET_MISSED } from './rotation-time.ts';
import { steadyOffset, timeFor } from './steady-time.ts';

export interface NodeIdentityOptions {
  readonly trustDomain: TrustDomain;
  readonly keyManager: KeyManager;
  readonly data: AgentDataFile;
  readonly availabilityTargetSeconds: number | undefined;
  readonly log: Logger;
  readonly clock: () => Date;
}

/** The agent's own X.509-SVID, with its key in the key manager. Stored before it is shown to anybody. */
export class NodeIdentity implements AsyncDisposable {
  readonly #options: NodeIdentityOptions;
  readonly #listeners = new Set<(identity: TlsIdentity) => void>();
  #current: Current;
  /** The key before: a handshake under way may still need it. */
  #previousTlsKey: ManagedTlsKey | undefined;

  private constructor(options: NodeIdentityOptions, svid: AgentSvid, tlsKey: ManagedTlsKey) {
    this.#options = options;
    this.#current = this.#toCurrent(svid, tlsKey);
  }

  /** Begins with an SVID that was stored or has just been earned. */
  static async open(options: NodeIdentityOptions, svid: AgentSvid): Promise<NodeIdentity> {
    return new NodeIdentity(options, svid, await openTlsKey(svid));
  }

  get svid(): AgentSvid {
    return this.#current.svid;
  }

  get tlsIdentity(): TlsIdentity {
    return { certificates: this.#current.svid.chain, privateKey: this.#current.tlsKey };
  }

  /** @returns what ends it. */
  subscribe(listener: (identity: TlsIdentity) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** In milliseconds; none is left where it is to be replaced. */
  get untilRenewalMs(): number {
    return this.#current.renewAt.getTime() - this.#now();
  }

  /** In milliseconds. */
  get untilExpiryMs(): number {
    return this.svid.expiresAt.getTime() - this.#now();
  }

  /** Tells each time that the key manager was started again. @returns what ends it. */
  onKeyManagerRestart(listener: () => void): Disposable {
    return this.svid.key.onEndpointChange(() => listener());
  }

  /** Whether the key manager still has the key: one that keeps its keys in memory loses them when it ends. */
  async hasKey(): Promise<boolean> {
    return (await findAgentKey(this.#options.keyManager, this.svid.key.publicKey)) !== undefined;
  }

  /** Asks for a successor of the SVID, with a new key. @throws what the server refuses with. */
  async renew(connection: ServerConnection, signal: AbortSignal): Promise<void> {
    const { keyManager, clock } = this.#options;
    const { spiffeId, reattestable, key: keyInUse } = this.svid;
    const key = await generateAgentKey(keyManager, keyInUse);
    const csr = await createCsr({ signer: key, uriNames: [] });
    const { svid } = await connection.run(({ agent }) =>
      agent.renewAgent({ params: { csr } }, { signal, deadlineMs: CALL_DEADLINE_MS }),
    );
    const chain = svid?.certChain ?? [];
    const receivedAt = clock();
    const received = requireReceivedSvid({ chain, publicKey: key.publicKey, now: receivedAt });
    if (received.spiffeId !== spiffeId) {
      throw new SpiffeError('SVID_INVALID', `the server renewed ${spiffeId} as ${received.spiffeId}`);
    }
    await this.use({ spiffeId, key, chain, reattestable, receivedAt, expiresAt: received.leaf.notAfter });
  }

  /** Stores an SVID and shows it from the next connection on. */
  async use(svid: AgentSvid): Promise<void> {
    const { data, trustDomain, log } = this.#options;
    const tlsKey = await openTlsKey(svid);
    await storeSvid(data, svid, trustDomain); // which forgets the one before, so only what can be used is stored
    await this.#previousTlsKey?.[Symbol.asyncDispose]();
    this.#previousTlsKey = this.#current.tlsKey;
    this.#current = this.#toCurrent(svid, tlsKey);
    for (const listener of this.#listeners) listener(this.tlsIdentity);
    log.info('agent X.509-SVID renewed', { spiffe_id: svid.spiffeId, expires_at: svid.expiresAt.toISOString() });
  }

  #toCurrent(svid: AgentSvid, tlsKey: ManagedTlsKey): Current {
    const { availabilityTargetSeconds, clock, log } = this.#options;
    const life = { ...svid, availabilityTargetSeconds };
    if (missesTarget(life)) log.warning(TARGET_MISSED, { spiffe_id: svid.spiffeId });
    return { svid, tlsKey, renewAt: rotationTime(life), steadyOffsetMs: steadyOffset(clock()) };
  }

  #now(): number {
    return timeFor(this.#current.steadyOffsetMs, this.#options.clock()).getTime();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#previousTlsKey?.[Symbol.asyncDispose]();
    await this.#current.tlsKey[Symbol.asyncDispose]();
  }
}

interface Current {
  readonly svid: AgentSvid;
  readonly tlsKey: ManagedTlsKey;
  readonly renewAt: Date;
  readonly steadyOffsetMs: number;
}

/** What a listener shows of it. */
export function ownIdentity(identity: NodeIdentity): IdentitySource {
  return {
    get current() {
      return identity.tlsIdentity;
    },
    subscribe: (listener) => identity.subscribe(listener),
  };
}

/** @throws SpiffeError `SVID_INVALID` for what is no identity of an agent of this trust domain. */
export async function storeSvid(data: AgentDataFile, svid: AgentSvid, trustDomain: TrustDomain): Promise<void> {
  const { spiffeId, chain, reattestable, receivedAt } = svid;
  if (trustDomainOf(spiffeId) !== trustDomain || !isAgentId(spiffeId)) {
    throw new SpiffeError(
      'SVID_INVALID',
      `the server named this node ${spiffeId}, which is no agent of "${trustDomain}"`,
    );
  }
  await data.write({ svid: { chain, reattestable, receivedAt } });
}

export type StoredIdentity =
  | { readonly state: 'usable'; readonly svid: AgentSvid }
  | { readonly state: 'none' }
  | { readonly state: 'unusable'; readonly spiffeId: SpiffeId; readonly reason: string };

/** What the last run left: an SVID counts while it is valid and its key is in the key manager. */
export async function findStoredIdentity({ data, keyManager, clock }: NodeIdentityOptions): Promise<StoredIdentity> {
  const stored = data.current.svid;
  const [first] = stored?.chain ?? [];
  if (stored === undefined || first === undefined) return { state: 'none' };
  const leaf = parseCertificate(first);
  const spiffeId = requireX509SvidLeaf(leaf);
  const unusable = (reason: string) => ({ state: 'unusable', spiffeId, reason }) as const;
  if (clock() >= leaf.notAfter) return unusable(`its X.509-SVID expired at ${leaf.notAfter.toISOString()}`);
  const key = await findAgentKey(keyManager, leaf.subjectPublicKeyInfo);
  if (key === undefined) return unusable(`the key manager "${keyManager.name}" does not have its key any more`);
  return { state: 'usable', svid: { ...stored, spiffeId, key, expiresAt: leaf.notAfter } };
}

async function openTlsKey({ key }: AgentSvid): Promise<ManagedTlsKey> {
  const { id: keyId, publicKey, fingerprint } = key;
  return await ManagedTlsKey.open({
    keyId,
    publicKey,
    fingerprint,
    get endpoint() {
      return key.endpoint;
    },
    onEndpointChange: (listener) => key.onEndpointChange(listener),
  });
}
