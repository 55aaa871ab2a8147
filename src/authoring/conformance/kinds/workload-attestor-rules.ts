import { KubernetesObjectReference } from '../../../gen/spiffe/broker/broker.ts';
import { WorkloadAttestorDefinition } from '../../../gen/spire/plugin/agent/workloadattestor/v1/workloadattestor.ts';
import type { Client } from '../../../rpc/client.ts';
import { BROKER_CALLER_METADATA, REFERENCE_TYPES } from '../../../rpc/go-plugin.ts';
import { processReference } from '../../../rpc/process-reference.ts';
import { messageOf } from '../../../spiffe/error.ts';
import { quoteText } from '../../../spiffe/quote-text.ts';
import { requireValidSelector } from '../../../spiffe/selector.ts';
import { Status } from '../../../spiffe/status.ts';
import { describeOutcome, expectAnything, type Outcome, outcomeOf, statusName } from '../outcome.ts';
import { Mismatch, NotApplicable, type Rule, requireThat } from '../rule.ts';
import { CALL_MS } from '../session.ts';
import type { Subject } from '../subject.ts';

/** Linux has none above 4194304. */
const NO_PROCESS = 2 ** 31 - 1;
const OPTIONS = { deadlineMs: CALL_MS };
const UNKNOWN_TYPE = 'type.googleapis.com/assayer.conformance.Nothing';

const common = { source: '§8.9', level: 'must', needs: 'configured' } as const;

export const workloadAttestorRules: readonly Rule[] = [
  {
    ...common,
    id: 'workload-attestor.pid',
    title: 'answers Attest or AttestReference for a process that runs, with selector values that a host can use',
    async check(subject) {
      const client = await clientOf(subject);
      const byPid = await outcomeOf(client.attest({ pid: process.pid }, OPTIONS));
      const isPid = byPid.ok || byPid.status !== Status.Unimplemented;
      const outcome = isPid ? byPid : await attestReference(client, processReference(process.pid));
      requireThat(outcome.ok, "selector values for the kit's own process", describeOutcome(outcome));
      requireSelectors(outcome.answer.selectorValues);
      return isPid ? undefined : 'by AttestReference alone';
    },
  },
  {
    ...common,
    id: 'workload-attestor.pid-gone',
    title: 'has no selector values for a process that is not there',
    level: 'should',
    async check(subject) {
      const client = await clientOf(subject);
      const outcome = await expectAnything(client.attest({ pid: NO_PROCESS }, OPTIONS), `process ${NO_PROCESS}`);
      if (!outcome.ok) return statusName(outcome.status);
      const { selectorValues } = outcome.answer;
      requireThat(selectorValues.length === 0, 'an error or no values', selectorValues.map(quoteText).join(', '));
      return 'no values';
    },
  },
  {
    ...common,
    id: 'workload-attestor.pid-invalid',
    title: 'goes on after a process ID that can be none: 0 and -1',
    async check(subject) {
      const client = await clientOf(subject);
      for (const pid of [0, -1]) await expectAnything(client.attest({ pid }, OPTIONS), `process ${pid}`);
      return undefined;
    },
  },
  {
    ...common,
    id: 'workload-attestor.reference-pid',
    title: 'answers for a process by reference as by its ID, or INVALID_ARGUMENT, or is without AttestReference',
    async check(subject) {
      const client = await clientOf(subject);
      const outcome = await attestReference(client, processReference(process.pid));
      if (outcome.ok) {
        requireSelectors(outcome.answer.selectorValues);
        return undefined;
      }
      requireFallback(outcome, 'a reference to a process');
      return describeFallback(outcome);
    },
  },
  {
    ...common,
    id: 'workload-attestor.reference-kubernetes',
    title: 'answers for a reference to a Kubernetes object, or INVALID_ARGUMENT, or is without AttestReference',
    async check(subject) {
      const value = KubernetesObjectReference.encode({
        type: { plural: 'pods', group: '' },
        key: { namespace: 'assayer-conformance', name: 'nobody' },
        uid: '00000000-0000-4000-8000-000000000000',
      }).finish();
      const outcome = await attestReference(await clientOf(subject), {
        typeUrl: REFERENCE_TYPES.kubernetesObject,
        value,
      });
      if (outcome.ok) requireSelectors(outcome.answer.selectorValues);
      if (outcome.ok || outcome.status === Status.NotFound) return 'it knows such references';
      requireFallback(outcome, 'a reference to a Kubernetes object');
      return describeFallback(outcome);
    },
  },
  {
    ...common,
    id: 'workload-attestor.reference-type',
    title: 'answers INVALID_ARGUMENT to a reference of a type that it does not know, or is without AttestReference',
    async check(subject) {
      const client = await clientOf(subject);
      const outcome = await attestReference(client, { typeUrl: UNKNOWN_TYPE, value: new Uint8Array(0) });
      requireThat(!outcome.ok, 'INVALID_ARGUMENT or UNIMPLEMENTED', describeOutcome(outcome));
      requireFallback(outcome, 'a reference of a type that nobody knows');
      return describeFallback(outcome);
    },
  },
  {
    ...common,
    id: 'workload-attestor.reference-garbage',
    title: 'answers an error to a reference to a process that does not parse, and to none at all',
    async check(subject) {
      const client = await clientOf(subject);
      const garbage = { typeUrl: REFERENCE_TYPES.process, value: Uint8Array.of(0x0a, 0xff) };
      for (const reference of [garbage, undefined]) {
        const outcome = await attestReference(client, reference);
        if (!outcome.ok && outcome.status === Status.Unimplemented) {
          throw new NotApplicable('it is without AttestReference');
        }
        const isRefused = !outcome.ok && outcome.status !== Status.DeadlineExceeded;
        requireThat(isRefused, reference ? 'an error for garbage' : 'an error', describeOutcome(outcome));
      }
      return undefined;
    },
  },
  {
    ...common,
    id: 'workload-attestor.caller',
    title: 'answers as well where metadata says who asks on behalf of the workload',
    async check(subject) {
      const client = await clientOf(subject);
      const without = await attestReference(client, processReference(process.pid));
      const metadata = { [BROKER_CALLER_METADATA]: `spiffe://${subject.options.trustDomain}/broker` };
      const outcome = await attestReference(client, processReference(process.pid), metadata);
      const isSame = without.ok === outcome.ok && (without.ok || outcome.ok || without.status === outcome.status);
      requireThat(isSame, `${describeOutcome(without)}, as without a caller`, describeOutcome(outcome));
      return undefined;
    },
  },
];

type WorkloadClient = Client<typeof WorkloadAttestorDefinition>;
type Reference = { readonly typeUrl: string; readonly value: Uint8Array };
type Selectors = { readonly selectorValues: readonly string[] };

async function clientOf(subject: Subject): Promise<WorkloadClient> {
  return await (await subject.ready()).client(WorkloadAttestorDefinition);
}

async function attestReference(
  client: WorkloadClient,
  reference: Reference | undefined,
  metadata: Readonly<Record<string, string>> = {},
): Promise<Outcome<Selectors>> {
  return await outcomeOf(
    client.attestReference({ reference: reference && { ...reference } }, { ...OPTIONS, metadata }),
  );
}

/** The two statuses that let a host ask in another way. */
function requireFallback(outcome: Outcome<unknown> & { readonly ok: false }, what: string): void {
  const isFallback = [Status.InvalidArgument, Status.Unimplemented].some((status) => status === outcome.status);
  requireThat(isFallback, `INVALID_ARGUMENT or UNIMPLEMENTED for ${what}`, describeOutcome(outcome));
}

function describeFallback({ status }: { readonly status: Status }): string {
  return status === Status.Unimplemented ? 'it is without AttestReference' : 'it does not take such references';
}

function requireSelectors(values: readonly string[]): void {
  for (const value of values) {
    try {
      requireValidSelector({ type: 'conformance', value });
    } catch (cause) {
      const reason = messageOf(cause);
      throw new Mismatch('selector values that a host can use', `${quoteText(value)}: ${reason}`, { cause });
    }
  }
}
