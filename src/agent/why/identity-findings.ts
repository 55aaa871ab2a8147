import type { Finding } from './finding.ts';
import type { EntryFacts, WorkloadFacts } from './workload-facts.ts';

/** What the workload gets now; nothing where it gets nothing, or not what it was to get. */
export function identityFindings({ entries, wanted, now }: WorkloadFacts): readonly Finding[] {
  const given = entries.filter((entry) => hasSvid(entry, now)).map(({ entry }) => entry.spiffeId);
  const shown = wanted === undefined ? given : given.filter((id) => id === wanted);
  if (shown.length === 0) return [];
  return [{ code: 'IDENTITY', text: `The workload gets ${[...new Set(shown)].join(', ')}.` }];
}

/** What was asked for and can never be had here. */
export function wantedCauses({ wanted: asked, lastRefusal, entries, agent }: WorkloadFacts): readonly Finding[] {
  const wanted = asked ?? lastRefusal?.wanted;
  if (wanted === undefined) return [];
  const { trustDomain } = agent;
  if (!wanted.startsWith(`spiffe://${trustDomain}/`)) {
    return [
      {
        code: 'OTHER_TRUST_DOMAIN',
        text: `${wanted} is not of this agent's trust domain, which is "${trustDomain}": correct the trust domain that the client is configured with, or ask an agent of the other one.`,
      },
    ];
  }
  const others = entries.filter(({ matches }) => matches).map(({ entry }) => entry.spiffeId);
  if (others.length === 0 || others.some((id) => id === wanted)) return [];
  return [
    {
      code: 'OTHER_IDENTITY',
      text: `The workload was to get ${wanted}, and what it has is for ${[...new Set(others)].join(', ')}: ask for that, or make an entry that gives ${wanted} for the same selectors.`,
    },
  ];
}

export function hasSvid({ matches, svidExpiresAt }: EntryFacts, now: Date): boolean {
  return matches && svidExpiresAt !== undefined && svidExpiresAt > now;
}
