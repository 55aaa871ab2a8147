import type { ExplainWorkloadResponse } from '../../gen/assayer/agent/why/v1/why.ts';
import { messageOf } from '../../spiffe/error.ts';
import type { Selector } from '../../spiffe/selector.ts';
import { findCauses } from './find-causes.ts';
import type { AgentFacts, EntryFacts, WorkloadFacts } from './workload-facts.ts';

export function toWhyResponse(facts: WorkloadFacts): ExplainWorkloadResponse {
  const { process, path, selectors, outcomes, entries, entriesLeftOut, agent, lastRefusal } = facts;
  return {
    workload: { ...process, path: path ?? '', selectors: selectors.map(toApiSelector) },
    attestors: outcomes.map(({ name, selectors: found, error, answeredAt, tookMs }) => ({
      name,
      selectors: found.map(toApiSelector),
      error: error === undefined ? '' : messageOf(error),
      answeredAt: toSeconds(answeredAt),
      tookMs,
    })),
    entries: entries.map(toApiEntry),
    entriesLeftOut,
    agent: toApiAgent(agent),
    lastRefusal: lastRefusal && {
      method: lastRefusal.method,
      at: toSeconds(lastRefusal.at),
      spiffeId: lastRefusal.wanted ?? '',
    },
    findings: findCauses(facts).map(({ code, text }) => ({ code, text })),
  };
}

function toApiEntry({ entry, matches, missing, svidExpiresAt, signingSince, refusal }: EntryFacts) {
  return {
    id: entry.id,
    spiffeId: entry.spiffeId,
    selectors: entry.selectors.map(toApiSelector),
    matches,
    missing: missing.map(toApiSelector),
    svid: matches
      ? {
          expiresAt: toSeconds(svidExpiresAt),
          signingSince: toSeconds(signingSince),
          refusal: refusal?.reason ?? '',
          refusedAt: toSeconds(refusal?.at),
        }
      : undefined,
    expiresAt: BigInt(entry.expiresAt),
  };
}

function toApiAgent(agent: AgentFacts): NonNullable<ExplainWorkloadResponse['agent']> {
  const { id, trustDomain, svidExpiresAt, entryCount, syncedAt, syncingSince, nextSyncAt, failure, mustReattest } =
    agent;
  return {
    id: id ?? '',
    trustDomain,
    expiresAt: toSeconds(svidExpiresAt),
    entries: entryCount ?? 0,
    syncedAt: toSeconds(syncedAt),
    syncingSince: toSeconds(syncingSince),
    nextSyncAt: toSeconds(nextSyncAt),
    serverError: failure?.reason ?? '',
    serverErrorAt: toSeconds(failure?.at),
    failingSince: toSeconds(failure?.since),
    mustReattest: mustReattest ?? '',
    attestors: [...agent.attestors],
  };
}

function toApiSelector({ type, value }: Selector) {
  return { type, value };
}

/** 0: never. */
function toSeconds(time: Date | undefined): bigint {
  return time === undefined ? 0n : BigInt(Math.floor(time.getTime() / 1000));
}
