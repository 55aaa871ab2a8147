import type { StoredX509Svid } from '../../plugin-host/kinds/svid-store.ts';
import { type Bundle, sameX509Authorities, type X509Authority } from '../../spiffe/bundle.ts';
import { isSpiffeError } from '../../spiffe/error.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { type AuthorizedEntry, isCurrent } from '../server-api/authorized-entry.ts';
import { byAge } from '../workloads/identity-order.ts';
import type { CacheContent } from '../workloads/workload-cache.ts';
import type { WorkloadX509Svid } from '../workloads/workload-x509-svid.ts';
import { type Place, placeOf } from './place.ts';

/** What is to be at a place. */
export interface WantedPlace {
  readonly place: Place;
  readonly entry: AuthorizedEntry;
  /** Undefined while there is none that could be stored: what is there already stays. */
  readonly svid: WorkloadX509Svid | undefined;
  /** Of its own trust domain. */
  readonly authorities: readonly X509Authority[];
  /** Of those that the entry federates with, and that are known. */
  readonly federated: ReadonlyMap<TrustDomain, readonly X509Authority[]>;
}

export interface WantedPlaces {
  readonly places: ReadonlyMap<string, WantedPlace>;
  /** Entries that cannot be stored, and why. */
  readonly unusable: readonly { readonly entry: AuthorizedEntry; readonly reason: string }[];
}

/** All that the entries with `store_svid` want to be stored. Of several that name one place, the first that was made has it. */
export function wantedPlaces(content: CacheContent, trustDomain: TrustDomain, now: Date): WantedPlaces {
  const places = new Map<string, WantedPlace>();
  const unusable: { readonly entry: AuthorizedEntry; readonly reason: string }[] = [];
  const entries: AuthorizedEntry[] = [];
  for (const entry of content.entries.values()) {
    if (entry.storeSvid && isCurrent(entry, now.getTime())) entries.push(entry);
  }
  for (const entry of entries.toSorted(byAge)) {
    try {
      const place = placeOf(entry.selectors);
      const holder = places.get(place.key);
      if (holder === undefined) places.set(place.key, toWanted(place, entry, content, trustDomain, now));
      else unusable.push({ entry, reason: `entry ${holder.entry.id} has the same selectors, and is stored there` });
    } catch (error) {
      if (!isSpiffeError(error, 'ARGUMENT_INVALID')) throw error;
      unusable.push({ entry, reason: error.message });
    }
  }
  return { places, unusable };
}

function toWanted(
  place: Place,
  entry: AuthorizedEntry,
  { svids, bundles }: CacheContent,
  trustDomain: TrustDomain,
  now: Date,
): WantedPlace {
  const svid = svids.get(entry.id);
  const federated = entry.federatesWith.flatMap((name) => {
    const bundle: Bundle | undefined = name === trustDomain ? undefined : bundles.get(name);
    return bundle === undefined ? [] : [[name, bundle.x509Authorities] as const];
  });
  return {
    place,
    entry,
    svid: svid === undefined || svid.expiresAt <= now ? undefined : svid,
    authorities: bundles.get(trustDomain)?.x509Authorities ?? [],
    federated: new Map(federated),
  };
}

/** What the plugin is sent. */
export function toStored({ place, authorities, federated }: WantedPlace, svid: WorkloadX509Svid): StoredX509Svid {
  return {
    spiffeId: svid.spiffeId,
    certificates: svid.chain,
    privateKey: svid.privateKey,
    bundle: authorities.map(({ certificate }) => certificate),
    expiresAt: Math.floor(svid.expiresAt.getTime() / 1000),
    metadata: place.metadata,
    federatedBundles: new Map(
      [...federated].map(([name, known]) => [name, known.map(({ certificate }) => certificate)] as const),
    ),
  };
}

/** Whether a plugin that has the one need not be told of the other. */
export function isSameContent(a: WantedPlace, b: WantedPlace): boolean {
  return (
    a.svid === b.svid &&
    sameX509Authorities(a.authorities, b.authorities) &&
    a.federated.size === b.federated.size &&
    [...a.federated].every(([name, known]) => {
      const other = b.federated.get(name);
      return other !== undefined && sameX509Authorities(known, other);
    })
  );
}
