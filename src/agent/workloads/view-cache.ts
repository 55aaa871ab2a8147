import type { Selector } from '../../spiffe/selector.ts';
import type { CacheContent, WorkloadView } from './workload-cache.ts';

interface Known {
  readonly content: CacheContent;
  readonly view: WorkloadView;
  /** As long as what it has is valid: from this time on, which is when it was made, … */
  readonly from: number;
  /** … until the first of it expires. */
  readonly until: number;
}

/** What workloads with the same list of selectors get, made once for all of them. Lists are the same where they are the same object. */
export class ViewCache {
  readonly #known = new WeakMap<readonly Selector[], Known>();

  /** @param now milliseconds since 1970 */
  get(
    selectors: readonly Selector[],
    content: CacheContent,
    now: number,
    make: () => { readonly view: WorkloadView; readonly until: number },
  ): WorkloadView {
    const known = this.#known.get(selectors);
    if (known !== undefined && known.content === content && known.from <= now && now < known.until) return known.view;
    const made = make();
    this.#known.set(selectors, { content, from: now, ...made });
    return made.view;
  }
}
