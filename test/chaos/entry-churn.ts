import { setTimeout as wait } from 'node:timers/promises';
import type { EntryBook } from './entry-book.ts';
import type { Random } from './random.ts';
import type { Place } from './workload.ts';

const FEWEST = 8;
const MOST = 40;
/** Of which entries ask for each of a workload's facts. */
const SHARE = { uid: 0.5, gid: 0.4, lane: 0.4 };

/** Makes, changes and deletes entries until aborted; what fails is left to {@link EntryBook.settle}. */
export async function churnEntries(
  book: EntryBook,
  places: readonly Place[],
  random: Random,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      if (book.isUncertain) await book.settle();
      await changeSomething(book, places, random);
    } catch {
      // the server is not there
    }
    await wait(random.between(30, 250));
  }
}

async function changeSomething(book: EntryBook, places: readonly Place[], random: Random): Promise<void> {
  const paths = book.stored.filter((path) => path.startsWith('/entry/'));
  const chosen = random.next();
  const selectors = selectorsFor(random.pick(places), random);
  const few = paths.length < FEWEST;
  if (few || (chosen < 0.4 && paths.length < MOST)) await book.create(selectors);
  else if (chosen < 0.65) await book.change(random.pick(paths), selectors);
  else await book.delete(random.pick(paths));
}

/** Of one workload, or of all that share a part of what it is. */
function selectorsFor({ uid, gid, lane }: Place, random: Random): readonly string[] {
  const chosen = [
    ...(random.next() < SHARE.uid ? [`unix:uid:${uid}`] : []),
    ...(random.next() < SHARE.gid ? [`unix:gid:${gid}`] : []),
    ...(random.next() < SHARE.lane ? [`lane:${lane}`] : []),
  ];
  return chosen.length > 0 ? chosen : [`unix:uid:${uid}`];
}
