import type { CallEnded } from '../../rpc/call-observer.ts';
import { Status } from '../../spiffe/status.ts';
import { callMeter } from '../../telemetry/call-metrics.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { AuthorizedEntry } from '../server-api/authorized-entry.ts';
import { entryDifference } from '../workloads/entry-difference.ts';
import type { CacheContent } from '../workloads/workload-cache.ts';

type Entries = CacheContent['entries'];
type Svids = CacheContent['svids'];

/** What bringing the cache up to date counts and times, by SPIRE's names: inventory M067 to M080, M083, M084. */
export class SyncMetrics {
  readonly entriesFetched: CallEnded;
  readonly svidsFetched: CallEnded;
  readonly #metrics: Metrics;

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
    this.entriesFetched = callMeter(metrics, ['manager', 'sync', 'fetch_entries_updates']);
    this.svidsFetched = callMeter(metrics, ['manager', 'sync', 'fetch_svids_updates']);
  }

  /** Tells of what there is whenever somebody looks. */
  watch(content: () => CacheContent | undefined, jwtSvidCount: () => number): void {
    const entries = this.#metrics.gauge(['lru_cache_record_map_size'], [X509]);
    const svids = this.#metrics.gauge(['lru_cache_svid_map_size'], [X509]);
    const tokens = this.#metrics.gauge(['jwt_svid_cache_size']);
    this.#metrics.collect(() => {
      const { entries: known = new Map(), svids: kept = new Map() } = content() ?? {};
      entries.set(forWorkloads(known).length);
      svids.set([...kept.keys()].filter((id) => known.get(id)?.storeSvid === false).length);
      tokens.set(jwtSvidCount());
    });
  }

  /** What the server said is otherwise than before. */
  entriesChanged(before: Entries, after: Entries): void {
    if (before === after) return;
    const { added, changed, removed } = entryDifference(before, after);
    const counts = {
      add: added.filter(isForWorkloads).length,
      remove: removed.filter(isForWorkloads).length,
      update: changed.filter((one) => isForWorkloads(one.after)).length,
    };
    for (const [what, count] of Object.entries(counts)) this.#metrics.counter([`lru_cache_entry_${what}`]).add(count);
  }

  /** SVIDs that are about to be replaced: because they expire, or because their entry is another now. */
  svidsWanted(wanted: readonly AuthorizedEntry[], svids: Svids, now: Date): void {
    const due = wanted.flatMap((entry) => {
      const svid = svids.get(entry.id);
      return svid === undefined ? [] : [{ entry, svid }];
    });
    this.#sample(
      'expiring_svids',
      due.filter(({ svid }) => now >= svid.rotateAt),
      '',
    );
    this.#sample(
      'outdated_svids',
      due.filter(({ entry, svid }) => svid.revisionNumber !== entry.revisionNumber),
      '',
    );
  }

  /**
   * SVIDs were looked at by a bundle that has lost an authority.
   *
   * @param isDistrusted of an SVID, by the id of its entry
   */
  x509SvidsVerified(entries: Entries, isDistrusted: (id: string) => boolean, elapsedMs: number): void {
    const distrusted = [...entries.values()].filter(({ id }) => isDistrusted(id)).map((entry) => ({ entry }));
    this.#sample('tainted_x509_svids', distrusted, 'workload');
    for (const cache of CACHES) this.#processed(cache, 'process_tainted_x509_svids', elapsedMs);
  }

  /** JWT-SVIDs were looked at, and some were forgotten. */
  jwtSvidsVerified(forgotten: number, elapsedMs: number): void {
    this.#metrics.histogram(['cache_manager', 'tainted_jwt_svids', 'workload']).observe(forgotten);
    this.#processed('workload', 'process_tainted_jwt_svids', elapsedMs);
  }

  #processed(cache: string, what: string, elapsedMs: number): void {
    callMeter(this.#metrics, ['cache_manager', cache, what])(Status.Ok, elapsedMs);
  }

  /** A number for workloads and one for stores; none where there is none. @param workloadCache how SPIRE names the former */
  #sample(what: string, all: readonly { readonly entry: AuthorizedEntry }[], workloadCache: '' | 'workload'): void {
    const labels = what.startsWith('tainted') ? [] : [X509];
    for (const cache of [workloadCache, 'svid_store']) {
      const count = all.filter(({ entry }) => entry.storeSvid === (cache === 'svid_store')).length;
      const key = ['cache_manager', what, ...(cache === '' ? [] : [cache])];
      if (count > 0) this.#metrics.histogram(key, labels).observe(count);
    }
  }
}

const X509 = { name: 'svid_type', value: 'X509' };
const CACHES = ['workload', 'svid_store'];

function forWorkloads(entries: Entries): readonly AuthorizedEntry[] {
  return [...entries.values()].filter(isForWorkloads);
}

function isForWorkloads({ storeSvid }: AuthorizedEntry): boolean {
  return !storeSvid;
}
