import type { ExplainWorkloadResponse } from '../../gen/assayer/agent/why/v1/why.ts';
import { messageOf } from '../../spiffe/error.ts';
import { formatSelector, type Selector } from '../../spiffe/selector.ts';
import { findCauses } from './find-causes.ts';
import type { AgentFacts, EntryFacts, WorkloadFacts } from './workload-facts.ts';

/** @param shown a selector as who asks may see it */
export function toWhyResponse(
  facts: WorkloadFacts,
  shown: (selector: Selector) => Selector = (selector) => selector,
): ExplainWorkloadResponse {
  const show = (selector: Selector) => toApiSelector(shown(selector));
  const { process, path, selectors, outcomes, entries, entriesLeftOut, agent, lastRefusal } = facts;
  return {
    workload: { ...process, path: path ?? '', selectors: selectors.map(show) },
    attestors: outcomes.map(({ name, selectors: found, error, answeredAt, tookMs }) => ({
      name,
      selectors: found.map(show),
      error: error === undefined ? '' : messageOf(error),
      answeredAt: toSeconds(answeredAt),
      tookMs,
    })),
    entries: entries.map((entry) => toApiEntry(entry, show)),
    entriesLeftOut,
    agent: toApiAgent(agent),
    lastRefusal: lastRefusal && {
      method: lastRefusal.method,
      at: toSeconds(lastRefusal.at),
      spiffeId: lastRefusal.wanted ?? '',
    },
    findings: findCauses(facts, (selector) => formatSelector(shown(selector))).map(({ code, text }) => ({
      code,
      text,
    })),
  };
}

function toApiEntry(
  { entry, matches, missing, svidExpiresAt, signingSince, refusal }: EntryFacts,
  show: (selector: Selector) => Selector,
) {
  return {
    id: entry.id,
    spiffeId: entry.spiffeId,
    selectors: entry.selectors.map(show),
    matches,
    missing: missing.map(show),
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
