import { randomUUID } from 'node:crypto';
import type { Datastore, Repositories } from '../../datastore/datastore.ts';
import type { NewEntry } from '../../datastore/entry-repository.ts';
import type { CreateJoinTokenRequest } from '../../gen/spire/api/server/agent/v1/agent.ts';
import { requireValidEntry } from '../../spiffe/entry.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { agentId, type SpiffeId } from '../../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { JOIN_TOKEN, MAX_JOIN_TOKEN_BYTES } from '../attestation/join-token.ts';
import { fromApiId } from './api-ids.ts';

export interface CreateJoinTokenOptions {
  readonly transaction: Datastore['transaction'];
  readonly trustDomain: TrustDomain;
  readonly clock: () => Date;
  /** Throws to refuse the alias to whoever asks for it. */
  readonly require: (entry: NewEntry) => void;
}

/** With an agent ID, an entry gives the token's agent that SPIFFE ID, for workload entries to stand below. */
export async function createJoinToken(
  { ttl, token, agentId: alias }: CreateJoinTokenRequest,
  { transaction, trustDomain, clock, require }: CreateJoinTokenOptions,
): Promise<{ value: string; expiresAt: bigint }> {
  if (ttl < 1)
    throw new SpiffeError('ARGUMENT_INVALID', `the TTL of a join token has to be 1 second at least, not ${ttl}`);
  const value = token === '' ? randomUUID() : token;
  const parentId = joinTokenAgentId(value, trustDomain);
  const entry = alias && aliasEntry(parentId, fromApiId(alias, 'agent ID'));
  if (entry !== undefined) {
    requireValidEntry({ ...entry, revisionNumber: 0, createdAt: 0 }, trustDomain);
    require(entry);
  }
  const expiresAt = Math.floor(clock().getTime() / 1000) + ttl;
  await transaction(async ({ agents, joinTokens, entries }) => {
    if ((await agents.find(parentId)) !== undefined) {
      throw new SpiffeError(
        'ALREADY_EXISTS',
        `agent "${parentId}" joined with this token: whoever used it again would become that agent; choose another one, or evict the agent first`,
      );
    }
    await joinTokens.create({ token: value, expiresAt });
    if (entry !== undefined) await entries.create(entry);
  });
  return { value, expiresAt: BigInt(expiresAt) };
}

/** Deletes an agent, and with an agent of a join token the alias that came with its token: nobody else can have it. */
export async function deleteAgent(spiffeId: SpiffeId, { agents, entries }: Repositories): Promise<void> {
  const { attestationType } = await agents.delete(spiffeId);
  if (attestationType !== JOIN_TOKEN) return;
  const { items } = await entries.list({
    parentId: spiffeId,
    selectors: { match: 'exact', selectors: [aliasSelector(spiffeId)] },
  });
  for (const { id } of items) await entries.delete(id);
}

/** @throws SpiffeError `ARGUMENT_INVALID`, `SPIFFE_ID_INVALID`: a token is a segment of its agent's ID. */
function joinTokenAgentId(token: string, trustDomain: TrustDomain): SpiffeId {
  if (Buffer.byteLength(token) > MAX_JOIN_TOKEN_BYTES) {
    throw new SpiffeError('ARGUMENT_INVALID', `a join token has ${MAX_JOIN_TOKEN_BYTES} bytes at most`);
  }
  if (token.includes('/')) {
    throw new SpiffeError('ARGUMENT_INVALID', 'a join token has no "/": it becomes one segment of a SPIFFE ID');
  }
  return agentId(trustDomain, JOIN_TOKEN, token);
}

function aliasEntry(parentId: SpiffeId, spiffeId: SpiffeId): NewEntry {
  return {
    id: '',
    parentId,
    spiffeId,
    selectors: [aliasSelector(parentId)],
    x509SvidTtlSeconds: 0,
    jwtSvidTtlSeconds: 0,
    federatesWith: [],
    admin: false,
    downstream: false,
    storeSvid: false,
    dnsNames: [],
    expiresAt: 0,
    hint: '',
    jwtSvidIncludeJti: false,
    disableX509SvidPrefetch: false,
  };
}

function aliasSelector(parentId: SpiffeId) {
  return { type: 'spiffe_id', value: parentId };
}
