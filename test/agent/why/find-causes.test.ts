import { describe, expect, test } from 'vitest';
import { aliasesOf, compareEntries } from '../../../src/agent/why/compare-entries.ts';
import { findCauses } from '../../../src/agent/why/find-causes.ts';
import type { FindingCode } from '../../../src/agent/why/finding.ts';
import type { AgentFacts, EntryFacts, WorkloadFacts } from '../../../src/agent/why/workload-facts.ts';
import { CountMatchesResponse } from '../../../src/gen/assayer/server/explain/v1/explain.ts';
import { RemoteError } from '../../../src/rpc/status.ts';
import { parseSelector } from '../../../src/spiffe/selector.ts';
import { parseSpiffeId } from '../../../src/spiffe/spiffe-id.ts';
import { Status } from '../../../src/spiffe/status.ts';
import { parseTrustDomain } from '../../../src/spiffe/trust-domain.ts';
import { entryAtAgent } from '../entry-at-agent.ts';

// Every code of docs/agent/why.md that needs no server to come about, with the sentence that mends it.

const NOW = new Date('2026-11-28T12:00:00Z');
const PAST = new Date('2026-11-28T11:00:00Z');
const LATER = new Date('2026-11-28T13:00:00Z');
const AGENT = parseSpiffeId('spiffe://example.org/spire/agent/tpm/1');
const NODE = parseSpiffeId('spiffe://example.org/node');
const WEB = parseSpiffeId('spiffe://example.org/web');
const SELECTORS = ['unix:uid:1000', 'unix:user:ada', 'k8s:ns:shop'].map(parseSelector);

const entryFor = (
  selectors: readonly string[],
  more: { spiffeId?: typeof WEB; expiresAt?: number; storeSvid?: boolean } = {},
) => entryAtAgent('e1', '/web', { selectors: selectors.map(parseSelector), ...more });

const known = (entry: ReturnType<typeof entryFor>, more: Partial<EntryFacts> = {}): readonly EntryFacts[] =>
  compareEntries([entry], SELECTORS, NOW.getTime() / 1000).map((compared) => ({
    ...{ ...compared, svidExpiresAt: undefined, signingSince: undefined, refusal: undefined },
    ...more,
  }));

interface Case extends Partial<Omit<WorkloadFacts, 'agent'>> {
  readonly agent?: Partial<AgentFacts>;
}

function factsWith({ agent, ...more }: Case): WorkloadFacts {
  return {
    now: NOW,
    process: { pid: 4711, uid: 1000, gid: 1000 },
    path: '/usr/bin/web',
    outcomes: ['unix', 'k8s'].map((name) => ({
      ...{ name, error: undefined, answeredAt: NOW, tookMs: 1 },
      selectors: SELECTORS.filter(({ type }) => type === name),
    })),
    selectors: SELECTORS,
    wanted: undefined,
    lastRefusal: undefined,
    entries: [],
    entriesLeftOut: 0,
    counts: CountMatchesResponse.fromPartial({}),
    isHeldBack: false,
    ...more,
    agent: {
      ...{ id: AGENT, aliases: [], trustDomain: parseTrustDomain('example.org'), svidExpiresAt: LATER, entryCount: 2 },
      ...{ syncedAt: PAST, syncingSince: undefined, nextSyncAt: LATER, failure: undefined, mustReattest: undefined },
      attestors: ['unix', 'k8s'],
      ...agent,
    },
  };
}

const failure = (isUnreachable: boolean) => ({ at: NOW, since: PAST, reason: 'connect ECONNREFUSED', isUnreachable });
const mine = ['unix:uid:1000'];

const cases: readonly (readonly [FindingCode, RegExp, Case])[] = [
  [
    'IDENTITY',
    /^The workload gets spiffe:\/\/example.org\/web\.$/,
    { entries: known(entryFor(mine), { svidExpiresAt: LATER }) },
  ],
  [
    'OTHER_TRUST_DOMAIN',
    /correct the trust domain that the client is configured with/,
    { wanted: 'spiffe://other.org/web' },
  ],
  [
    'OTHER_IDENTITY',
    /was to get spiffe:\/\/example.org\/db, and what it has is for spiffe:\/\/example.org\/web: ask for that/,
    { wanted: 'spiffe://example.org/db', entries: known(entryFor(mine), { svidExpiresAt: LATER }) },
  ],
  ['AGENT_NOT_ATTESTED', /see its log.*server_address, server_port and the trust bundle/, { agent: { id: undefined } }],
  [
    'AGENT_EXPIRED',
    /expired at 2026-11-28T11:00:00Z.*a new one, of "assayer server token generate"\. The last attempt, at 2026-11-28T12:00:00Z, failed: connect ECONNREFUSED\.$/,
    { agent: { svidExpiresAt: PAST, failure: failure(true) } },
  ],
  [
    'AGENT_MUST_REATTEST',
    /has to attest again, the server does not know it/,
    { agent: { mustReattest: 'the server does not know it' } },
  ],
  [
    'SERVER_AWAY',
    /no answer from its server since 2026-11-28T11:00:00Z.* Workloads keep what they have.* failed: connect ECONNREFUSED\.$/,
    { agent: { failure: failure(true) } },
  ],
  ['SYNC_FAILED', /The last attempt, at 2026-11-28T12:00:00Z, failed/, { agent: { failure: failure(false) } }],
  ['NOT_SYNCED_YET', /wait a moment and ask again/, { agent: { entryCount: undefined, syncedAt: undefined } }],
  [
    'ATTESTOR_FAILED',
    /^The workload attestor "k8s" failed: the kubelet answered 403\. .*"assayer agent plugin list" tells how "k8s" is doing\.$/,
    {
      outcomes: [
        {
          ...{ name: 'k8s', selectors: [], answeredAt: NOW, tookMs: 1 },
          error: new RemoteError(Status.Unavailable, 'workloadattestor(k8s): the kubelet answered 403'),
        },
      ],
    },
  ],
  [
    'ATTESTOR_NOT_LOADED',
    /put WorkloadAttestor "docker" \{\} into/,
    { entries: known(entryFor([...mine, 'docker:label:a:b'])) },
  ],
  ['NO_ATTESTOR', /such as WorkloadAttestor "unix" \{\}/, { agent: { attestors: [] }, outcomes: [], selectors: [] }],
  ['SVID_BEING_SIGNED', /wait a moment/, { entries: known(entryFor(mine), { signingSince: NOW }) }],
  [
    'SVID_REFUSED',
    /could not be had at 2026-11-28T12:00:00Z: the CA says no\. The agent asks again by itself/,
    { entries: known(entryFor(mine), { refusal: { at: NOW, reason: 'the CA says no' } }) },
  ],
  ['SVID_MISSING', /let the workload connect/, { entries: known(entryFor(mine)) }],
  [
    'ENTRY_EXPIRED',
    /expired at 2026-11-28T11:00:00Z: give it a later time with "assayer server entry update -entryExpiry"/,
    { entries: known(entryFor(mine, { expiresAt: PAST.getTime() / 1000 })) },
  ],
  [
    'ENTRY_FOR_STORE',
    /^Entry e1 has the selectors .* make a second entry without -storeSVID\.$/,
    { entries: known(entryFor(mine, { storeSvid: true }), { svidExpiresAt: LATER }) },
  ],
  [
    'ENTRY_EXPIRED',
    /^The server has 2 entries .*-entryExpiry/,
    { counts: CountMatchesResponse.fromPartial({ expired: 2 }) },
  ],
  [
    'SELECTOR_MISSPELLED',
    /asks for k8s:NS:shop, which is likely misspelled: the workload has k8s:ns:shop; correct it with "assayer server entry update -entryID e1"/,
    { entries: known(entryFor([...mine, 'k8s:NS:shop'])) },
  ],
  [
    'SELECTOR_MISSING',
    /lacks k8s:ns:bank and has k8s:ns:shop: start the workload/,
    { entries: known(entryFor([...mine, 'k8s:ns:bank'])) },
  ],
  [
    'SELECTOR_MISSING',
    /lacks k8s:annotation:a, of which the attestor "k8s" has "ns" and no "annotation": /,
    { entries: known(entryFor([...mine, 'k8s:annotation:a'])) },
  ],
  [
    'SELECTOR_MISSING',
    /lacks docker:label:a:b, of which the attestor "docker" knows nothing: /,
    { agent: { attestors: ['unix', 'docker'] }, entries: known(entryFor([...mine, 'docker:label:a:b'])) },
  ],
  [
    'ENTRY_JUST_CREATED',
    /not been told of yet.*wait a moment/,
    { counts: CountMatchesResponse.fromPartial({ notSynced: 1 }) },
  ],
  [
    'WRONG_PARENT_ID',
    /this agent is spiffe:\/\/example.org\/spire\/agent\/tpm\/1 and, by its join token, spiffe:\/\/example.org\/node, so set -parentID to the latter with "assayer server entry update"/,
    { agent: { aliases: [NODE] }, counts: CountMatchesResponse.fromPartial({ withoutParent: 1 }) },
  ],
  [
    'ENTRY_OF_OTHER_AGENT',
    /-selector unix:user:ada -selector k8s:ns:shop" names/,
    { counts: CountMatchesResponse.fromPartial({ ofOtherAgents: 1 }) },
  ],
  [
    'NODE_LACKS_SELECTORS',
    /correct that entry for nodes/,
    { counts: CountMatchesResponse.fromPartial({ nodeLacksSelectors: 1 }) },
  ],
  ['SERVER_NOT_ASKED', /ask again in some seconds/, { counts: undefined, isHeldBack: true }],
  [
    'NO_ENTRY',
    /^The server has no entry .* -spiffeID ID -selector unix:uid:1000 -selector unix:user:ada -selector k8s:ns:shop", without the selectors that need not be so\.$/,
    {},
  ],
  [
    'NO_ENTRY',
    /^None of the 2 entries .*; is there one, it is under another parent ID, and this agent is/,
    { counts: undefined },
  ],
  ['NO_ENTRY', /^The one entry under this agent asks for what/, { counts: undefined, agent: { entryCount: 1 } }],
];

test.each(cases)('%s: %s', (code, text, facts) => {
  const found = findCauses(factsWith(facts)).filter((finding) => finding.code === code);
  expect(found).toEqual([{ code, text: expect.stringMatching(text) }]);
});

describe('what may not be shown', () => {
  const texts = findCauses(factsWith({ counts: undefined }), ({ type }) => `a selector of type ${type}`);

  test('is in no command, which still says that selectors are needed', () => {
    expect(texts).toMatchObject([{ text: expect.stringContaining('-spiffeID ID -selector TYPE:VALUE";') }]);
    expect(JSON.stringify(texts)).not.toMatch(/ada|shop|1000/);
  });
});

test('an agent that joined by a token has the ID of an entry for it alone', () => {
  const own = entryFor([`spiffe_id:${AGENT}`], { spiffeId: NODE });
  const others = [entryFor(['spiffe_id:spiffe://example.org/spire/agent/tpm/2']), entryFor(mine)];
  expect(aliasesOf(AGENT, [...others, own])).toEqual([NODE]);
});
