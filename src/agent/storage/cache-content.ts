import { z } from 'zod';
import { parseSpiffeId, type SpiffeId } from '../../spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import type { CacheContent } from '../workloads/workload-cache.ts';
import { storedBundle, storedBytes, toStoredBundle, toStoredBytes } from './stored-bundle.ts';

const FORMAT = 'assayer-cache-2';
const storedId = z.string().transform(parseSpiffeId);
const storedTime = z.iso.datetime().transform((text) => new Date(text));

const schema = z.strictObject({
  format: z.literal(FORMAT),
  agentId: storedId,
  entries: z.array(
    z.strictObject({
      id: z.string(),
      spiffeId: storedId,
      selectors: z.array(z.strictObject({ type: z.string(), value: z.string() })),
      federatesWith: z.array(z.string().transform(parseTrustDomain)),
      expiresAt: z.int(),
      storeSvid: z.boolean(),
      admin: z.boolean(),
      downstream: z.boolean(),
      hint: z.string(),
      revisionNumber: z.int(),
      createdAt: z.int(),
      disableX509SvidPrefetch: z.boolean(),
    }),
  ),
  svids: z.array(
    z.strictObject({
      entryId: z.string(),
      revisionNumber: z.int(),
      createdAt: z.int(),
      spiffeId: storedId,
      chain: z.array(storedBytes).min(1),
      privateKey: storedBytes,
      expiresAt: storedTime,
      rotateAt: storedTime,
    }),
  ),
  bundles: z.array(storedBundle),
});

/** The cache of an agent as JSON; private keys and all, so for encrypting. */
export function formatCacheContent(agentId: SpiffeId, { entries, svids, bundles }: CacheContent): string {
  const content: z.input<typeof schema> = {
    format: FORMAT,
    agentId,
    entries: [...entries.values()].map((entry) => ({
      ...entry,
      selectors: entry.selectors.map(({ type, value }) => ({ type, value })),
      federatesWith: [...entry.federatesWith],
    })),
    svids: [...svids.values()].map(({ steadyOffsetMs: _, ...svid }) => ({
      ...svid,
      chain: svid.chain.map(toStoredBytes),
      privateKey: toStoredBytes(svid.privateKey),
      expiresAt: svid.expiresAt.toISOString(),
      rotateAt: svid.rotateAt.toISOString(),
    })),
    bundles: [...bundles.values()].map(toStoredBundle),
  };
  return JSON.stringify(content);
}

/** The inverse of {@link formatCacheContent}; throws for what is none. */
export function parseCacheContent(text: string): { readonly agentId: SpiffeId; readonly content: CacheContent } {
  const { agentId, entries, svids, bundles } = schema.parse(JSON.parse(text));
  return {
    agentId,
    content: {
      entries: new Map(entries.map((entry) => [entry.id, entry])),
      svids: new Map(svids.map((svid) => [svid.entryId, svid])),
      bundles: new Map(bundles.map((bundle) => [bundle.trustDomain, bundle])),
    },
  };
}
