import type { Datastore, Repositories } from '../../datastore/datastore.ts';
import type { NewEntry } from '../../datastore/entry-repository.ts';
import type { RegistrationEntry } from '../../spiffe/entry.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { type ApplyOptions, type PlannedChange, type Problem, planApply } from './apply-plan.ts';

export interface AppliedChange {
  readonly kind: PlannedChange['kind'];
  readonly before: RegistrationEntry | undefined;
  readonly after: RegistrationEntry | undefined;
  readonly fields: readonly string[];
}

export interface Applied {
  readonly changes: readonly AppliedChange[];
  readonly unchanged: number;
  readonly notPruned: number;
  /** Where there are any, nothing was changed. */
  readonly problems: readonly Problem[];
}

/** Thrown to undo what a transaction did so far. */
class Refused extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.message);
    this.problem = problem;
  }
}

/**
 * Brings a set to the wanted entries, in one transaction: two that are made at once follow each other.
 *
 * @param wanted valid ones
 */
export async function applyEntries(
  wanted: readonly NewEntry[],
  options: ApplyOptions & { readonly dryRun: boolean },
  transaction: Datastore['transaction'],
): Promise<Applied> {
  try {
    return await transaction((repositories) => apply(wanted, options, repositories));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return { changes: [], unchanged: 0, notPruned: 0, problems: [error.problem] };
  }
}

async function apply(
  wanted: readonly NewEntry[],
  options: ApplyOptions & { readonly dryRun: boolean },
  repositories: Repositories,
): Promise<Applied> {
  const { entries, entrySets } = repositories;
  const members = await entrySets.members(options.set);
  const found = [
    ...(await entries.findMany([...new Set([...members, ...wanted.map(({ id }) => id).filter((id) => id !== '')])])),
    ...(await entries.findSimilar(wanted)),
  ];
  const stored = new Map(found.map((entry) => [entry.id, entry]));
  const sets = await entrySets.setsOf([...stored.keys()]);
  const { changes, unchanged, notPruned, problems } = planApply(wanted, { entries: stored, sets }, options);
  if (problems.length > 0) return { changes: [], unchanged, notPruned, problems };
  if (options.dryRun)
    return { changes: changes.map((change) => toApplied(change, undefined)), unchanged, notPruned, problems };
  return { changes: await make(changes, options.set, repositories), unchanged, notPruned, problems };
}

/** Deletions first: what is made may have the parent ID, SPIFFE ID and selectors of what goes. */
async function make(
  changes: readonly PlannedChange[],
  set: string,
  { entries, entrySets }: Repositories,
): Promise<readonly AppliedChange[]> {
  const made = new Map<PlannedChange, RegistrationEntry>();
  await entries.deleteMany(changes.flatMap((change) => (change.kind === 'delete' ? [change.before.id] : [])));
  for (const change of changes) {
    if (change.kind !== 'update' && change.kind !== 'adopt') continue;
    const { index, before, wanted, fields } = change;
    const { id: _, ...whole } = wanted;
    const updated = fields.length === 0 ? before : await refusing(index, () => entries.update(before.id, whole));
    made.set(change, updated);
  }
  const creations = changes.filter((change) => change.kind === 'create');
  const created = await entries.createMany(creations.map(({ wanted }) => wanted));
  for (const [n, creation] of creations.entries()) {
    const result = created[n];
    if (result?.created !== true) {
      throw new Refused({
        index: creation.index,
        message: 'another entry has its parent ID, SPIFFE ID and selectors by now',
      });
    }
    made.set(creation, result.entry);
  }
  const joined = changes.flatMap((change) => {
    const entry = change.kind === 'create' || change.kind === 'adopt' ? made.get(change) : undefined;
    return entry === undefined ? [] : [entry.id];
  });
  await entrySets.add(set, joined);
  return changes.map((change) => toApplied(change, made.get(change)));
}

async function refusing<T>(index: number, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof SpiffeError)) throw error;
    throw new Refused({ index, message: error.message });
  }
}

function toApplied(change: PlannedChange, made: RegistrationEntry | undefined): AppliedChange {
  switch (change.kind) {
    case 'create':
      return {
        kind: 'create',
        before: undefined,
        after: made ?? { ...change.wanted, revisionNumber: 0, createdAt: 0 },
        fields: [],
      };
    case 'delete':
      return { kind: 'delete', before: change.before, after: undefined, fields: [] };
    default: {
      const { kind, before, wanted, fields } = change;
      return { kind, before, after: made ?? { ...before, ...wanted, id: before.id }, fields };
    }
  }
}
