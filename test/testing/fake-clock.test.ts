import { describe, expect, test } from 'vitest';
import { FakeClock } from '../../src/testing/fake-clock.ts';
import { eventually } from '../harness/eventually.ts';

const START = '2031-02-03T04:05:06.000Z';

describe('a fake clock', () => {
  test('stands still until it is moved, also back', async () => {
    await using clock = new FakeClock(START);
    const { read } = clock;
    expect(read().toISOString()).toBe(START);
    await clock.advance(1_500);
    expect(read().toISOString()).toBe('2031-02-03T04:05:07.500Z');
    clock.set('2001-01-01T00:00:00Z');
    expect(read().getFullYear()).toBe(2001);
  });

  test('wakes sleepers in the order of their times, each at its own time', async () => {
    await using clock = new FakeClock(START);
    const woken: string[] = [];
    const sleep = async (name: string, milliseconds: number) => {
      await clock.sleep(milliseconds);
      woken.push(`${name} at ${clock.read().getTime() - new Date(START).getTime()}`);
    };
    const all = [sleep('late', 2_000), sleep('early', 1_000), sleep('never', 60_000)];
    expect(clock.sleeping).toBe(3);
    await clock.advance(2_000);
    expect(woken).toEqual(['early at 1000', 'late at 2000']);
    await clock.advance(58_000);
    await Promise.all(all);
    expect(clock.sleeping).toBe(0);
  });

  test('lets who sleeps again in a loop run through one move', async () => {
    await using clock = new FakeClock(START);
    let turns = 0;
    const loop = (async () => {
      while (turns < 5) {
        await clock.sleep(1_000);
        turns += 1;
      }
    })();
    await clock.advance(5_000);
    expect(turns).toBe(5);
    await loop;
  });

  test('ends a sleep by its signal, and all of them on disposal', async () => {
    const clock = new FakeClock(START);
    const abort = new AbortController();
    const stopped = clock.sleep(10, { signal: abort.signal });
    abort.abort(new Error('enough'));
    await expect(stopped).rejects.toThrow('enough');
    const forgotten = clock.sleep(10);
    await eventually(() => expect(clock.sleeping).toBe(1));
    await Promise.all([expect(forgotten).rejects.toMatchObject({ code: 'CANCELLED' }), clock[Symbol.asyncDispose]()]);
  });

  test.each([-1, Number.NaN])('does not advance by %d ms', async (milliseconds) => {
    await using clock = new FakeClock(START);
    await expect(clock.advance(milliseconds)).rejects.toThrow('0 ms or more');
  });

  test('refuses what is no time', () => {
    expect(() => new FakeClock('tomorrow')).toThrow('tomorrow is no time');
  });
});
