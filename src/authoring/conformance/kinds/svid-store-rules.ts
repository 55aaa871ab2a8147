import { SVIDStoreDefinition } from '../../../gen/spire/plugin/agent/svidstore/v1/svidstore.ts';
import { Status } from '../../../spiffe/status.ts';
import { describeOutcome, expectAnything, outcomeOf } from '../outcome.ts';
import { type Rule, requireThat } from '../rule.ts';
import { CALL_MS } from '../session.ts';
import type { Subject } from '../subject.ts';
import { ThrowawayAuthority } from '../throwaway-authority.ts';

const OPTIONS = { deadlineMs: CALL_MS };
const common = { source: '§8.8', needs: 'configured' } as const;

export const svidStoreRules: readonly Rule[] = [
  {
    ...common,
    id: 'svid-store.put',
    title: 'stores an SVID with its key, its bundle and a federated bundle',
    level: 'must',
    async check(subject) {
      await put(subject, '/workload');
      return undefined;
    },
  },
  {
    ...common,
    id: 'svid-store.overwrite',
    title: 'stores another SVID over the one with the same metadata',
    level: 'must',
    async check(subject) {
      await put(subject, '/workload');
      await put(subject, '/workload');
      return undefined;
    },
  },
  {
    ...common,
    id: 'svid-store.delete',
    title: 'deletes what was stored with the metadata that it was stored with',
    level: 'must',
    async check(subject) {
      await put(subject, '/workload');
      const client = await (await subject.ready()).client(SVIDStoreDefinition);
      const outcome = await outcomeOf(client.deleteX509SVID({ metadata: [...subject.options.metadata] }, OPTIONS));
      requireThat(outcome.ok, 'an answer to DeleteX509SVID', describeOutcome(outcome));
      return undefined;
    },
  },
  {
    ...common,
    id: 'svid-store.delete-again',
    title: 'answers a second deletion, or INVALID_ARGUMENT: any other error has the agent try for ever',
    level: 'must',
    async check(subject) {
      const client = await (await subject.ready()).client(SVIDStoreDefinition);
      const metadata = [...subject.options.metadata];
      await outcomeOf(client.deleteX509SVID({ metadata }, OPTIONS));
      const outcome = await expectAnything(client.deleteX509SVID({ metadata }, OPTIONS), 'a second DeleteX509SVID');
      const isDone = outcome.ok || outcome.status === Status.InvalidArgument;
      requireThat(isDone, 'an answer or INVALID_ARGUMENT', describeOutcome(outcome));
      return undefined;
    },
  },
  {
    ...common,
    id: 'svid-store.delete-nothing',
    title: 'answers a deletion without metadata, or INVALID_ARGUMENT',
    level: 'should',
    async check(subject) {
      const client = await (await subject.ready()).client(SVIDStoreDefinition);
      const outcome = await expectAnything(client.deleteX509SVID({ metadata: [] }, OPTIONS), 'DeleteX509SVID');
      const isDone = outcome.ok || outcome.status === Status.InvalidArgument;
      requireThat(isDone, 'an answer or INVALID_ARGUMENT', describeOutcome(outcome));
      return undefined;
    },
  },
];

async function put(subject: Subject, path: string): Promise<void> {
  const { trustDomain, metadata } = subject.options;
  const client = await (await subject.ready()).client(SVIDStoreDefinition);
  const authority = await ThrowawayAuthority.of(trustDomain);
  const { certificates, privateKey, expiresAt } = await authority.issue(`spiffe://${trustDomain}${path}`);
  const svid = {
    spiffeID: `spiffe://${trustDomain}${path}`,
    certChain: [...certificates],
    privateKey,
    bundle: [authority.root],
    expiresAt: BigInt(expiresAt),
  };
  const federatedBundles = { 'spiffe://federated.example': authority.root };
  const outcome = await outcomeOf(client.putX509SVID({ svid, metadata: [...metadata], federatedBundles }, OPTIONS));
  const came = `${describeOutcome(outcome)}: -metadata says where to store it`;
  requireThat(outcome.ok, `an answer to PutX509SVID with the metadata ${metadata.join(', ')}`, came);
}
