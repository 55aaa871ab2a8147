import { findNearest } from '../../config/suggest.ts';
import { formatSelector, type Selector } from '../../spiffe/selector.ts';
import { time } from './agent-causes.ts';
import type { Finding, ShowSelector } from './finding.ts';
import { hasSvid } from './identity-findings.ts';
import type { EntryFacts, WorkloadFacts } from './workload-facts.ts';

const MAX_SHOWN = 3;
const MAX_KEYS = 12;

/** What stands between the workload and each entry under this agent that is, or nearly is, for it. */
export function entryCauses(facts: WorkloadFacts, show: ShowSelector): readonly Finding[] {
  const { wanted, now } = facts;
  const ofWanted = facts.entries.filter(({ entry }) => entry.spiffeId === wanted);
  const entries = ofWanted.length > 0 ? ofWanted : facts.entries;
  const waiting = entries.filter((found) => found.missing.length === 0 && !hasSvid(found, now));
  const near = entries.filter(({ missing }) => missing.length > 0);
  return [
    ...waiting.slice(0, MAX_SHOWN).map((found) => whyNoSvid(found, facts)),
    ...near.flatMap((found) => whyNoMatch(found, facts, show)).slice(0, MAX_SHOWN),
  ];
}

function whyNoSvid(
  { entry, matches, signingSince, refusal, svidExpiresAt }: EntryFacts,
  { agent }: WorkloadFacts,
): Finding {
  const what = `Entry ${entry.id} gives ${entry.spiffeId} to this workload`;
  if (entry.storeSvid) {
    return {
      code: 'ENTRY_FOR_STORE',
      text: `Entry ${entry.id} has the selectors of this workload, and its X.509-SVID is for an SVID store (store_svid), so that no workload gets it: make a second entry without -storeSVID.`,
    };
  }
  if (!matches) {
    const expiredAt = time(new Date(entry.expiresAt * 1000));
    return {
      code: 'ENTRY_EXPIRED',
      text: `Entry ${entry.id} would give ${entry.spiffeId} to this workload, and expired at ${expiredAt}: give it a later time with "assayer server entry update -entryExpiry".`,
    };
  }
  if (refusal !== undefined) {
    return {
      code: 'SVID_REFUSED',
      text: `${what}, and its X.509-SVID could not be had at ${time(refusal.at)}: ${refusal.reason}. The agent asks again by itself; see the server's log.`,
    };
  }
  if (signingSince !== undefined) {
    return {
      code: 'SVID_BEING_SIGNED',
      text: `${what}, and the server has been asked for its X.509-SVID at ${time(signingSince)}: wait a moment.`,
    };
  }
  if (agent.failure !== undefined) {
    const missing = svidExpiresAt === undefined ? 'has not been signed yet' : `expired at ${time(svidExpiresAt)}`;
    return {
      code: 'SVID_MISSING',
      text: `${what}, and its X.509-SVID ${missing}: the server is needed to sign one, see what it said last.`,
    };
  }
  return {
    code: 'SVID_MISSING',
    text: `${what}, and its X.509-SVID is not made before somebody asks, which is so for entries with disable_x509_svid_prefetch and beyond x509_svid_cache_max_size: let the workload connect.`,
  };
}

function whyNoMatch(
  { entry, missing, misspelled }: EntryFacts,
  { selectors, agent, outcomes }: WorkloadFacts,
  show: ShowSelector,
): readonly Finding[] {
  const failed = new Set(outcomes.filter(({ error }) => error !== undefined).map(({ name }) => name));
  // What no attestor could have found is told of that attestor.
  if (missing.some(({ type }) => failed.has(type) || !agent.attestors.includes(type))) return [];
  const what = `Entry ${entry.id} (${entry.spiffeId})`;
  const [first] = missing;
  if (first === undefined) return [];
  const [wrong, right] = spellingOf(missing, misspelled, selectors, show) ?? [];
  if (wrong !== undefined && right !== undefined) {
    return [
      {
        code: 'SELECTOR_MISSPELLED',
        text: `${what} asks for ${show(wrong)}, which is likely misspelled: ${right}; correct it with "assayer server entry update -entryID ${entry.id}".`,
      },
    ];
  }
  const instead = insteadOf(first, selectors, show);
  return [
    {
      code: 'SELECTOR_MISSING',
      text: `${what} would match, but the workload lacks ${missing.map(show).join(', ')}${instead}: start the workload so that it has that, or change the entry with "assayer server entry update -entryID ${entry.id}".`,
    },
  ];
}

/** What the workload has of the same kind, to see by what it is wrong. */
function insteadOf({ type, value }: Selector, selectors: readonly Selector[], show: ShowSelector): string {
  const found = selectors.filter((selector) => selector.type === type);
  if (found.length === 0) return `, of which the attestor "${type}" knows nothing`;
  const alike = found.filter((selector) => keyOf(selector.value) === keyOf(value));
  if (alike.length > 0) return ` and has ${alike.slice(0, MAX_SHOWN).map(show).join(', ')}`;
  const keys = [...new Set(found.map((selector) => `"${keyOf(selector.value)}"`))];
  return `, of which the attestor "${type}" has ${keys.slice(0, MAX_KEYS).join(', ')} and no "${keyOf(value)}"`;
}

/** A missing selector with what was likely meant. */
function spellingOf(
  missing: readonly Selector[],
  misspelled: ReadonlyMap<string, Selector>,
  selectors: readonly Selector[],
  show: ShowSelector,
): readonly [wrong: Selector, right: string] | undefined {
  for (const selector of missing) {
    const known = misspelled.get(formatSelector(selector));
    if (known !== undefined) return [selector, `the workload has ${show(known)}`];
    const keys = [...new Set(selectors.filter(({ type }) => type === selector.type).map(({ value }) => keyOf(value)))];
    const key = keyOf(selector.value);
    const nearest = keys.includes(key) ? undefined : findNearest(key, keys);
    if (nearest === undefined) continue;
    return [selector, `the attestor "${selector.type}" has "${nearest}" and no "${key}"`];
  }
  return undefined;
}

/** `uid` of `uid:1000`. */
function keyOf(value: string): string {
  const colon = value.indexOf(':');
  return colon === -1 ? value : value.slice(0, colon);
}
