import { BundlePublisherDefinition } from '../../../gen/spire/plugin/server/bundlepublisher/v1/bundlepublisher.ts';
import type { Bundle } from '../../../gen/spire/plugin/types/types.ts';
import { expectAnswer } from '../outcome.ts';
import type { Rule } from '../rule.ts';
import { CALL_MS } from '../session.ts';
import type { Subject } from '../subject.ts';
import { ThrowawayAuthority } from '../throwaway-authority.ts';

const common = { source: '§8.6', level: 'must', needs: 'configured' } as const;

export const bundlePublisherRules: readonly Rule[] = [
  {
    ...common,
    id: 'bundle-publisher.publish',
    title: 'publishes a bundle',
    async check(subject) {
      const authority = await ThrowawayAuthority.of(subject.options.trustDomain);
      await publish(subject, authority.wireBundle(1n), 'a bundle');
      return undefined;
    },
  },
  {
    ...common,
    id: 'bundle-publisher.same',
    title: 'takes the same bundle twice, as hosts publish it every 30 s',
    async check(subject) {
      const bundle = (await ThrowawayAuthority.of(subject.options.trustDomain)).wireBundle(1n);
      await publish(subject, bundle, 'a bundle');
      await publish(subject, bundle, 'the same bundle again');
      return undefined;
    },
  },
  {
    ...common,
    id: 'bundle-publisher.changed',
    title: 'takes another bundle after the first',
    async check(subject) {
      const authority = await ThrowawayAuthority.of(subject.options.trustDomain);
      await publish(subject, authority.wireBundle(1n), 'a bundle');
      await publish(subject, authority.wireBundle(2n), 'a bundle with another key');
      return undefined;
    },
  },
];

async function publish(subject: Subject, bundle: Bundle, what: string): Promise<void> {
  const client = await (await subject.ready()).client(BundlePublisherDefinition);
  await expectAnswer(client.publishBundle({ bundle }, { deadlineMs: CALL_MS }), `PublishBundle of ${what}`);
}
