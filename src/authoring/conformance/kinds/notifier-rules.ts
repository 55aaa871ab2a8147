import { NotifierDefinition } from '../../../gen/spire/plugin/server/notifier/v1/notifier.ts';
import { describeOutcome, expectAnswer, outcomeOf } from '../outcome.ts';
import { type Rule, requireThat } from '../rule.ts';
import { CALL_MS } from '../session.ts';
import type { Subject } from '../subject.ts';
import { ThrowawayAuthority } from '../throwaway-authority.ts';

const OPTIONS = { deadlineMs: CALL_MS };
const common = { source: '§8.5', needs: 'configured' } as const;

export const notifierRules: readonly Rule[] = [
  {
    ...common,
    id: 'notifier.loaded',
    title: 'answers NotifyAndAdvise with a bundle that was loaded: any error, UNIMPLEMENTED too, stops the server',
    level: 'must',
    async check(subject) {
      await adviseLoaded(subject, 1n);
      return undefined;
    },
  },
  {
    ...common,
    id: 'notifier.loaded-again',
    title: 'answers NotifyAndAdvise again: a server may start anew',
    level: 'must',
    async check(subject) {
      await adviseLoaded(subject, 1n);
      await adviseLoaded(subject, 2n);
      return undefined;
    },
  },
  {
    ...common,
    id: 'notifier.updated',
    title: 'answers Notify with a bundle that was updated',
    level: 'should',
    async check(subject) {
      const client = await (await subject.ready()).client(NotifierDefinition);
      const value = { bundle: await bundleOf(subject, 2n) };
      const outcome = await outcomeOf(client.notify({ event: { $case: 'bundleUpdated', value } }, OPTIONS));
      requireThat(outcome.ok, 'an answer', describeOutcome(outcome));
      return undefined;
    },
  },
];

async function adviseLoaded(subject: Subject, sequenceNumber: bigint): Promise<void> {
  const client = await (await subject.ready()).client(NotifierDefinition);
  const value = { bundle: await bundleOf(subject, sequenceNumber) };
  const advising = client.notifyAndAdvise({ event: { $case: 'bundleLoaded', value } }, OPTIONS);
  await expectAnswer(advising, 'NotifyAndAdvise');
}

async function bundleOf({ options }: Subject, sequenceNumber: bigint) {
  return (await ThrowawayAuthority.of(options.trustDomain)).wireBundle(sequenceNumber);
}
