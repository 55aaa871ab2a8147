import { expect, test } from 'vitest';
import type { Pod } from '../../../src/plugins/k8s/parse-pod-list.ts';
import { PodList } from '../../../src/plugins/k8s/pod-list.ts';

class Kubelet {
  now = 0;
  readonly waiting: PromiseWithResolvers<readonly Pod[]>[] = [];
  readonly signals: AbortSignal[] = [];
  readonly list = new PodList(
    (signal) => {
      this.signals.push(signal);
      const answer = Promise.withResolvers<readonly Pod[]>();
      this.waiting.push(answer);
      return answer.promise;
    },
    250,
    () => this.now,
  );
}

test('whoever comes while an answer is waited for shares it, however long it takes', async () => {
  const kubelet = new Kubelet();
  const first = kubelet.list.get();
  kubelet.now = 9_000;
  const second = kubelet.list.get();
  kubelet.waiting[0]?.resolve([]);
  expect(await first).toBe(await second);
  expect(kubelet.waiting).toHaveLength(1);
});

test('an answer counts for a moment after it was asked for, and then no more', async () => {
  const kubelet = new Kubelet();
  const first = kubelet.list.get();
  kubelet.waiting[0]?.resolve([]);
  await first;
  kubelet.now = 249;
  void kubelet.list.get();
  expect(kubelet.waiting).toHaveLength(1);
  kubelet.now = 250;
  void kubelet.list.get();
  expect(kubelet.waiting).toHaveLength(2);
});

test('a failure is told to all who wait for it, and kept for nobody', async () => {
  const kubelet = new Kubelet();
  const both = [kubelet.list.get(), kubelet.list.get()];
  kubelet.waiting[0]?.reject(new Error('away'));
  for (const each of both) await expect(each).rejects.toThrow('away');
  void kubelet.list.get();
  expect(kubelet.waiting).toHaveLength(2);
});

test('what is waited for ends with the list', () => {
  const kubelet = new Kubelet();
  void kubelet.list.get();
  kubelet.list[Symbol.dispose]();
  expect(kubelet.signals[0]?.aborted).toBe(true);
});
