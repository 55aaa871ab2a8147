import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type CountedMatches, MatchCounter } from '../../../src/agent/why/match-counter.ts';
import { parseSelector } from '../../../src/spiffe/selector.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
afterEach(() => void vi.useRealTimers());

const NONE = { known: 0, notSynced: 1, expired: 0, ofOtherAgents: 0, nodeLacksSelectors: 0, withoutParent: 0 };
const of = (...texts: readonly string[]) => texts.map(parseSelector);

/** Answers the questions when told to. */
function counting() {
  const answers: ((answer: CountedMatches) => void)[] = [];
  const counter = new MatchCounter(() => {
    const { promise, resolve } = Promise.withResolvers<CountedMatches>();
    answers.push(resolve);
    return promise;
  });
  return { counter, answers };
}

test('the server has one question at a time, and whoever asks the same shares its answer', async () => {
  const { counter, answers } = counting();
  const first = counter.count(of('unix:uid:1', 'unix:gid:1'));
  const same = counter.count(of('unix:gid:1', 'unix:uid:1'));
  vi.advanceTimersByTime(5_000);
  await expect(counter.count(of('unix:uid:2'))).resolves.toEqual({ isHeldBack: true });
  answers[0]?.({ counts: NONE });
  await expect(Promise.all([first, same])).resolves.toEqual([{ counts: NONE }, { counts: NONE }]);
  expect(answers).toHaveLength(1);
});

test('an answer is kept for ten seconds, and other questions come once a second', async () => {
  const { counter, answers } = counting();
  const first = counter.count(of('unix:uid:1'));
  answers[0]?.({ counts: NONE });
  await first;
  await expect(counter.count(of('unix:uid:2'))).resolves.toEqual({ isHeldBack: true });
  vi.advanceTimersByTime(9_000);
  await expect(counter.count(of('unix:uid:1'))).resolves.toEqual({ counts: NONE });
  expect(answers).toHaveLength(1);
  vi.advanceTimersByTime(1_001);
  void counter.count(of('unix:uid:1'));
  expect(answers).toHaveLength(2);
});
