import { statusOf } from '../../rpc/status.ts';
import { messageOf } from '../../spiffe/error.ts';
import { quoteText } from '../../spiffe/quote-text.ts';
import { Status } from '../../spiffe/status.ts';
import { Doubt, Mismatch, NotApplicable, requireThat } from './rule.ts';

/** What became of a call. */
export type Outcome<Answer> =
  | { readonly ok: true; readonly answer: Answer }
  | { readonly ok: false; readonly status: Status; readonly message: string; readonly error: unknown };

export async function outcomeOf<Answer>(call: Promise<Answer>): Promise<Outcome<Answer>> {
  try {
    return { ok: true, answer: await call };
  } catch (error) {
    if (isVerdict(error)) throw error;
    return { ok: false, status: statusOf(error), message: messageOf(error), error };
  }
}

/** @throws Mismatch where the call failed */
export async function expectAnswer<Answer>(call: Promise<Answer>, what: string): Promise<Answer> {
  const outcome = await outcomeOf(call);
  if (outcome.ok) return outcome.answer;
  throw new Mismatch(`an answer to ${what}`, describeOutcome(outcome), { cause: outcome.error });
}

/**
 * @param statuses any status will do without them
 * @throws Mismatch where the call was answered, or failed in another way
 */
export async function expectRefusal(
  call: Promise<unknown>,
  what: string,
  statuses?: readonly Status[],
): Promise<Outcome<unknown> & { readonly ok: false }> {
  const outcome = await outcomeOf(call);
  const wanted = statuses === undefined ? 'an error' : statuses.map(statusName).join(' or ');
  if (outcome.ok) throw new Mismatch(`${wanted} for ${what}`, 'an answer');
  const isWanted = statuses === undefined || statuses.includes(outcome.status);
  requireThat(isWanted && !isHang(outcome.status), `${wanted} for ${what}`, describeOutcome(outcome));
  return outcome;
}

/** Any answer will do, none does not. @throws Mismatch */
export async function expectAnything<Answer>(call: Promise<Answer>, what: string): Promise<Outcome<Answer>> {
  const outcome = await outcomeOf(call);
  if (!outcome.ok) requireThat(!isHang(outcome.status), `an answer or an error for ${what}`, describeOutcome(outcome));
  return outcome;
}

export function describeOutcome(outcome: Outcome<unknown>): string {
  return outcome.ok ? 'an answer' : `${statusName(outcome.status)} ${quoteText(outcome.message)}`;
}

/** As gRPC writes it, `NOT_FOUND`. */
export function statusName(status: Status): string {
  const name = Object.entries(Status).find(([, code]) => code === status)?.[0] ?? String(status);
  return name.replace(/(?<=.)[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}

function isVerdict(error: unknown): boolean {
  return [Mismatch, Doubt, NotApplicable].some((verdict) => error instanceof verdict);
}

function isHang(status: Status): boolean {
  return status === Status.DeadlineExceeded;
}
