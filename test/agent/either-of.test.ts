import { expect, test } from 'vitest';
import { eitherOf } from '../../src/agent/secret-discovery/either-of.ts';
import { SecretSubscription } from '../../src/agent/secret-discovery/secret-subscription.ts';
import { DiscoveryRequest } from '../../src/gen/envoy/service/discovery/v3/discovery.ts';
import { Logger } from '../../src/log/logger.ts';

/** Counts the reactions to it, and to what is made of it. */
class Counted<Value> extends Promise<Value> {
  static reactions = 0;

  // biome-ignore lint/suspicious/noThenProperty: it is a promise
  override then<A = Value, B = never>(
    fulfilled?: ((value: Value) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    Counted.reactions += 1;
    return super.then(fulfilled, rejected);
  }
}

async function* numbers(count: number): AsyncGenerator<number> {
  for (let i = 0; i < count; i += 1) yield i;
}

test('a stream that stays silent is waited for once, however much the other one says', async () => {
  Counted.reactions = 0;
  const silent: AsyncIterator<never> = { next: () => new Counted(() => {}) };
  const seen: unknown[] = [];
  for await (const event of eitherOf(numbers(50), silent)) seen.push(event);
  expect(seen).toHaveLength(50);
  expect(Counted.reactions).toBe(1);
});

test('what fails ends it, after what was said before', async () => {
  async function* failing(): AsyncGenerator<string> {
    yield 'last words';
    throw new Error('gone');
  }
  const silent: AsyncIterator<never> = { next: () => new Promise(() => {}) };
  const seen: unknown[] = [];
  const reading = (async () => {
    for await (const event of eitherOf(silent, failing())) seen.push(event);
  })();
  await expect(reading).rejects.toThrow('gone');
  expect(seen).toEqual([{ second: 'last words' }]);
});

test('a request for another response than the last says nothing', () => {
  const sds = {
    defaultSvidName: 'default',
    defaultBundleName: 'ROOTCA',
    defaultAllBundlesName: 'ALL',
    disableSpiffeCertValidation: false,
  };
  const subscription = new SecretSubscription({ sds, pid: 1, log: new Logger(() => {}) });
  const take = (responseNonce: string) =>
    subscription.take(DiscoveryRequest.fromPartial({ resourceNames: ['default'], responseNonce }));
  expect([take('7'), take('')]).toEqual([false, true]);
});
