import type { Datastore } from '../../datastore/datastore.ts';
import type { NewEntry } from '../../datastore/entry-repository.ts';
import {
  Change_Kind as ApiKind,
  ApplyDefinition,
  type ApplyEntriesRequest,
  type Options,
} from '../../gen/assayer/server/apply/v1/apply.ts';
import type { Entry } from '../../gen/spire/api/types/types.ts';
import type { Logger } from '../../log/logger.ts';
import { type BoundService, bindService } from '../../rpc/service.ts';
import { requireValidEntry } from '../../spiffe/entry.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { quoteText } from '../../spiffe/quote-text.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { fromApiEntry, toApiEntry } from '../api/api-entry.ts';
import type { EntryCache } from '../entry-cache.ts';
import { type AppliedChange, applyEntries } from './apply-entries.ts';
import type { Problem } from './apply-plan.ts';

export interface ApplyServiceOptions {
  readonly datastore: Pick<Datastore, 'transaction' | 'bundles'>;
  readonly cache: EntryCache;
  readonly trustDomain: TrustDomain;
  readonly log: Logger;
}

const MAX_ENTRIES = 50_000;
const MAX_PROBLEMS = 100;

const KINDS: Readonly<Record<AppliedChange['kind'], ApiKind>> = {
  create: ApiKind.CREATE,
  update: ApiKind.UPDATE,
  adopt: ApiKind.ADOPT,
  delete: ApiKind.DELETE,
};

/** Brings entries to what files say. SPIRE has nothing like it. */
export function applyService({ datastore, cache, trustDomain, log }: ApplyServiceOptions): BoundService {
  return bindService(ApplyDefinition, {
    async applyEntries(requests) {
      const { options, entries } = await receive(requests);
      const { items } = await datastore.bundles.list();
      const bundles = new Set(items.map((bundle) => bundle.trustDomain));
      const { wanted, problems } = check(entries, trustDomain, bundles);
      if (problems.length > 0)
        return { changes: [], unchanged: 0, notPruned: 0, problems: problems.slice(0, MAX_PROBLEMS) };
      const applied = await applyEntries(wanted, options, (work) => datastore.transaction(work));
      if (!options.dryRun && applied.problems.length === 0 && applied.changes.length > 0) {
        await cache.refresh();
        log.info('entries applied', {
          set: options.set,
          changes: applied.changes.length,
          unchanged: applied.unchanged,
        });
      }
      return {
        ...applied,
        changes: applied.changes.map(({ kind, before, after, fields }) => ({
          kind: KINDS[kind],
          before: before && toApiEntry(before, undefined),
          after: after && toApiEntry(after, undefined),
          fields: [...fields],
        })),
        problems: applied.problems.slice(0, MAX_PROBLEMS),
      };
    },
  });
}

async function receive(requests: AsyncIterable<ApplyEntriesRequest>) {
  let options: Options | undefined;
  const entries: Entry[] = [];
  for await (const request of requests) {
    options ??= requireOptions(request.options);
    entries.push(...request.entries);
    if (entries.length > MAX_ENTRIES) {
      throw new SpiffeError(
        'TOO_LARGE',
        `more than ${MAX_ENTRIES} entries are more than one set has: make several sets`,
      );
    }
  }
  return { options: options ?? requireOptions(undefined), entries };
}

function requireOptions(options: Options | undefined): Options {
  if (options === undefined)
    throw new SpiffeError('ARGUMENT_INVALID', 'the first message has to say what set it is for');
  if (!/^[a-zA-Z0-9._-]{1,64}$/.test(options.set)) {
    throw new SpiffeError(
      'ARGUMENT_INVALID',
      `the name ${quoteText(options.set)} of the set is none: letters, digits, ".", "-" and "_", 1 to 64 of them`,
    );
  }
  return options;
}

function check(entries: readonly Entry[], trustDomain: TrustDomain, bundles: ReadonlySet<TrustDomain>) {
  const wanted: NewEntry[] = [];
  const problems: Problem[] = [];
  for (const [index, entry] of entries.entries()) {
    try {
      const checked = fromApiEntry(entry);
      requireValidEntry({ ...checked, revisionNumber: 0, createdAt: 0 }, trustDomain);
      const missing = checked.federatesWith.find((name) => !bundles.has(name));
      if (missing !== undefined) {
        throw new SpiffeError('FAILED_PRECONDITION', `trust domain "${missing}" has no bundle here: set it first`);
      }
      wanted.push(checked);
    } catch (error) {
      if (!(error instanceof SpiffeError)) throw error;
      problems.push({ index, message: error.message });
    }
  }
  return { wanted, problems };
}
