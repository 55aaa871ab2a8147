import { z } from 'zod';
import { parseSpiffeId, type SpiffeId } from '../../spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import type { CacheChange } from './cache-change.ts';
import { storedBundle, storedBytes, toStoredBundle, toStoredBytes } from './stored-bundle.ts';

const FORMAT = 'assayer-cache-3';
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
  goneEntries: z.array(z.string()),
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
  goneSvids: z.array(z.string()),
  bundles: z.array(storedBundle).optional(),
});

/** As JSON; private keys and all, so for encrypting. */
export function formatCacheChange(agentId: SpiffeId, change: CacheChange): string {
  const { entries, goneEntries, svids, goneSvids, bundles } = change;
  const content: z.input<typeof schema> = {
    format: FORMAT,
    agentId,
    entries: entries.map((entry) => ({
      ...entry,
      selectors: entry.selectors.map(({ type, value }) => ({ type, value })),
      federatesWith: [...entry.federatesWith],
    })),
    goneEntries: [...goneEntries],
    svids: svids.map(({ steadyOffsetMs: _, ...svid }) => ({
      ...svid,
      chain: svid.chain.map(toStoredBytes),
      privateKey: toStoredBytes(svid.privateKey),
      expiresAt: svid.expiresAt.toISOString(),
      rotateAt: svid.rotateAt.toISOString(),
    })),
    goneSvids: [...goneSvids],
    ...(bundles === undefined ? {} : { bundles: bundles.map(toStoredBundle) }),
  };
  return JSON.stringify(content);
}

/** The inverse of {@link formatCacheChange}; throws for what is none. */
export function parseCacheChange(text: string): { readonly agentId: SpiffeId; readonly change: CacheChange } {
  const { format: _, agentId, bundles, ...change } = schema.parse(JSON.parse(text));
  return { agentId, change: { ...change, bundles } };
}
