import { ConfigDefinition, type ValidateResponse } from '../../../gen/spire/service/common/config/v1/config.ts';
import { quoteText } from '../../../spiffe/quote-text.ts';
import { Status } from '../../../spiffe/status.ts';
import { firstCallOf } from '../kinds/first-call.ts';
import { describeOutcome, expectAnswer, expectAnything, expectRefusal, outcomeOf, statusName } from '../outcome.ts';
import { Doubt, Mismatch, NotApplicable, type Rule, requireThat } from '../rule.ts';
import { CALL_MS, type Session } from '../session.ts';
import type { Subject } from '../subject.ts';

/** No HCL, and no text that a plugin takes. */
const GARBAGE = 'this is = { not [ "any" configuration\u0001';

/** The service Config, where a plugin has it. */
export const configRules: readonly Rule[] = [
  {
    id: 'config.before',
    title: 'answers calls before Configure with FAILED_PRECONDITION',
    source: '§5',
    level: 'should',
    needs: 'services',
    async check(subject) {
      const session = await subject.start();
      await requireConfig(session);
      const { call, method } = firstCallOf(subject.options.kind);
      const outcome = await expectAnything(call(await session.connection()), `${method} before Configure`);
      if (outcome.ok) return 'it answers, so it needs no configuration for that';
      if (outcome.status === Status.Unimplemented) return 'it is without that call';
      const came = describeOutcome(outcome);
      requireThat(outcome.status === Status.FailedPrecondition, 'FAILED_PRECONDITION or an answer', came);
      return undefined;
    },
  },
  {
    id: 'config.accept',
    title: 'takes its configuration',
    source: '§5',
    level: 'must',
    needs: 'services',
    opens: 'configured',
    async check(subject) {
      const session = await subject.session();
      if (!(await session.hasConfig())) return 'it takes none';
      const outcome = await outcomeOf(session.ready());
      const advice = subject.options.configText === '' ? ': give it one by -config FILE' : '';
      requireThat(outcome.ok, 'an answer to Configure', `${describeOutcome(outcome)}${advice}`);
      return undefined;
    },
  },
  {
    id: 'config.garbage',
    title: 'refuses a configuration that is garbage',
    source: '§5',
    level: 'must',
    needs: 'configured',
    async check(subject) {
      await configureGarbage(subject);
      return undefined;
    },
  },
  {
    id: 'config.garbage-status',
    title: 'refuses a configuration that is garbage with INVALID_ARGUMENT',
    source: '§5',
    level: 'should',
    needs: 'configured',
    async check(subject) {
      const { status } = await configureGarbage(subject);
      requireThat(status === Status.InvalidArgument, 'INVALID_ARGUMENT', statusName(status));
      return undefined;
    },
  },
  {
    id: 'config.again',
    title: 'takes a configuration again, after a good one and after one that it refused',
    source: '§5',
    level: 'must',
    needs: 'configured',
    async check(subject) {
      const session = await subject.start();
      await requireConfig(session);
      const { configText } = subject.options;
      const connection = await session.connection();
      const { call, method } = firstCallOf(subject.options.kind);
      await session.ready();
      const before = describeOutcome(await expectAnything(call(connection), method));
      await expectAnswer(session.configure(configText), 'a second Configure');
      await outcomeOf(session.configure(GARBAGE));
      await expectAnswer(session.configure(configText), 'Configure after one that was refused');
      const after = describeOutcome(await expectAnything(call(connection), method));
      requireThat(before === after, `${before} to ${method}, as before`, after);
      return undefined;
    },
  },
  {
    id: 'config.validate',
    title: 'has nothing to note in Validate on a configuration that it takes',
    source: '§5',
    level: 'must',
    needs: 'configured',
    async check(subject) {
      const { valid, notes } = await validate(await subject.ready(), subject.options.configText);
      const came = `valid=${valid} and ${notes.length} notes: ${notes.slice(0, 5).map(quoteText).join(', ')}`;
      requireThat(valid && notes.length === 0, 'valid=true and no notes', came);
      return undefined;
    },
  },
  {
    id: 'config.validate-garbage',
    title: 'says in Validate that a configuration of garbage is not valid, and why',
    source: '§5',
    level: 'must',
    needs: 'configured',
    async check(subject) {
      const session = await subject.ready();
      const outcome = await outcomeOf(validate(session, GARBAGE));
      if (!outcome.ok) {
        requireThat(outcome.status !== Status.DeadlineExceeded, 'an answer or an error', describeOutcome(outcome));
        return `it answers with an error: ${statusName(outcome.status)}`;
      }
      const { valid, notes } = outcome.answer;
      requireThat(!valid || notes.length > 0, 'valid=false, or notes', 'valid=true without notes');
      if (notes.length === 0) throw new Doubt('expected notes that say why, came none');
      return undefined;
    },
  },
  {
    id: 'config.validate-keeps',
    title: 'leaves the configuration in force alone in Validate',
    source: '§5',
    level: 'must',
    needs: 'configured',
    async check(subject) {
      const session = await subject.start();
      await requireConfig(session);
      await session.ready();
      const connection = await session.connection();
      const { call, method } = firstCallOf(subject.options.kind);
      const before = describeOutcome(await expectAnything(call(connection), method));
      await outcomeOf(validate(session, GARBAGE));
      const after = describeOutcome(await expectAnything(call(connection), method));
      requireThat(before === after, `${before} to ${method}, as before Validate`, after);
      return undefined;
    },
  },
  {
    id: 'config.no-core',
    title: 'does not crash where Configure has no core configuration',
    source: '§5',
    level: 'should',
    needs: 'configured',
    async check(subject) {
      const session = await subject.start();
      await requireConfig(session);
      const request = { coreConfiguration: undefined, hclConfiguration: subject.options.configText };
      const client = await session.client(ConfigDefinition);
      await expectAnything(client.configure(request, { deadlineMs: CALL_MS }), 'Configure without core configuration');
      return undefined;
    },
  },
];

async function requireConfig(session: Session): Promise<void> {
  if (!(await session.hasConfig())) throw new NotApplicable('it takes no configuration');
}

/** Puts the good configuration back. */
async function configureGarbage(subject: Subject): Promise<{ readonly status: Status }> {
  const session = await subject.ready();
  await requireConfig(session);
  const refusal = await expectRefusal(session.configure(GARBAGE), 'a configuration of garbage');
  if (refusal.status === Status.Unavailable) throw new Mismatch('an error of the plugin', describeOutcome(refusal));
  await session.configure(subject.options.configText);
  return refusal;
}

/** @throws NotApplicable where the plugin is without Validate */
async function validate(session: Session, hclConfiguration: string): Promise<ValidateResponse> {
  await requireConfig(session);
  const request = { coreConfiguration: { trustDomain: session.trustDomain }, hclConfiguration };
  const client = await session.client(ConfigDefinition);
  const outcome = await outcomeOf(client.validate(request, { deadlineMs: CALL_MS }));
  if (outcome.ok) return outcome.answer;
  if (outcome.status === Status.Unimplemented) throw new NotApplicable('it is without Validate');
  throw outcome.error;
}
