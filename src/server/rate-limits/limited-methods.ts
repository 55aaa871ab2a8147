/** Calls a second that one address may make. Source: SPIRE's `pkg/server/api/limits`. */
const ATTESTATIONS = 1;
const SIGNATURES = 500;
const PUSHED_KEYS = 500;
const STATUSES = 10;
/** Every entry is looked at. Ours alone. Several agents may share an address, and people ask some questions in a row. */
const EXPLANATIONS = 1;
const EXPLANATIONS_AT_ONCE = 10;

/** Methods that share the buckets of one limit. */
export interface MethodGroup {
  readonly perSecond: number;
  /** So many at once after a rest; absent, as many as in a second. */
  readonly burst?: number;
  /** The key of `ratelimit` that switches it off; absent, nothing does. */
  readonly setting?: 'attestation' | 'signing';
  /** Each call counts one, before its handler. */
  readonly methods: readonly string[];
  /** The handler says how much a call counts, and when. */
  readonly countedByHandler?: readonly string[];
}

const AGENT = '/spire.api.server.agent.v1.Agent';
const SVID = '/spire.api.server.svid.v1.SVID';
const BUNDLE = '/spire.api.server.bundle.v1.Bundle';

/** Source: SPIRE's `pkg/server/endpoints`. What is not here has no limit. */
export const LIMITED_METHODS: readonly MethodGroup[] = [
  { perSecond: ATTESTATIONS, setting: 'attestation', methods: [], countedByHandler: [`${AGENT}/AttestAgent`] },
  {
    perSecond: SIGNATURES,
    setting: 'signing',
    methods: [`${AGENT}/RenewAgent`, `${SVID}/NewDownstreamX509CA`],
    countedByHandler: [`${SVID}/BatchNewX509SVID`],
  },
  { perSecond: SIGNATURES, setting: 'signing', methods: [`${SVID}/NewJWTSVID`] },
  { perSecond: PUSHED_KEYS, methods: [`${BUNDLE}/PublishJWTAuthority`, `${BUNDLE}/PublishWITAuthority`] },
  { perSecond: STATUSES, methods: [`${AGENT}/PostStatus`] },
  {
    perSecond: EXPLANATIONS,
    burst: EXPLANATIONS_AT_ONCE,
    methods: ['/assayer.server.explain.v1.Explain/CountMatches'],
  },
];
