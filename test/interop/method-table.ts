/** Callers of the server's API, as the Go program of server-api plays them. */
export const CALLERS = [
  'local',
  'adminById',
  'adminByEntry',
  'registrar',
  'agent',
  'bannedAgent',
  'evictedAgent',
  'retiredAgent',
  'expiredAgent',
  'expiredAdmin',
  'downstream',
  'workload',
  'stranger',
] as const;
export type Caller = (typeof CALLERS)[number];

/** What a caller of a class gets where it is not let in: agents that are none any more learn why. */
const REFUSALS: Readonly<Record<Caller, string>> = {
  local: 'PermissionDenied',
  adminById: 'PermissionDenied',
  adminByEntry: 'PermissionDenied',
  registrar: 'PermissionDenied',
  agent: 'PermissionDenied',
  bannedAgent: 'PermissionDenied AGENT_BANNED',
  evictedAgent: 'PermissionDenied AGENT_NOT_ATTESTED',
  retiredAgent: 'PermissionDenied AGENT_NOT_ACTIVE',
  expiredAgent: 'PermissionDenied AGENT_EXPIRED',
  expiredAdmin: 'PermissionDenied AGENT_EXPIRED',
  downstream: 'PermissionDenied AGENT_NOT_ATTESTED',
  workload: 'PermissionDenied AGENT_NOT_ATTESTED',
  stranger: 'PermissionDenied',
};

type Who = 'any' | 'admin' | 'registrar' | 'agent' | 'adminOrAgent' | 'downstream' | 'local';
const ADMIN: readonly Caller[] = ['local', 'adminById', 'adminByEntry'];
const ALLOWED: Readonly<Record<Who, readonly Caller[]>> = {
  any: CALLERS,
  admin: ADMIN,
  registrar: [...ADMIN, 'registrar'],
  agent: ['agent'],
  adminOrAgent: [...ADMIN, 'agent'],
  downstream: ['downstream'],
  local: ['local'],
};

const AGENT = 'spire.api.server.agent.v1.Agent';
const BUNDLE = 'spire.api.server.bundle.v1.Bundle';
const ENTRY = 'spire.api.server.entry.v1.Entry';
const SVID = 'spire.api.server.svid.v1.SVID';
const AUTHORITY = 'spire.api.server.localauthority.v1.LocalAuthority';
const TRUST_DOMAIN = 'spire.api.server.trustdomain.v1.TrustDomain';

/** Method, whose it is, and what those get of the request that the Go program makes. Inventory R001 to R065. */
const METHODS: readonly (readonly [string, Who, string])[] = [
  [`${AGENT}/CountAgents`, 'admin', 'OK'],
  [`${AGENT}/ListAgents`, 'admin', 'OK'],
  [`${AGENT}/GetAgent`, 'admin', 'NotFound'],
  [`${AGENT}/DeleteAgent`, 'admin', 'NotFound'],
  [`${AGENT}/BanAgent`, 'admin', 'NotFound'],
  [`${AGENT}/AttestAgent`, 'any', 'InvalidArgument'],
  [`${AGENT}/RenewAgent`, 'agent', 'OK'],
  [`${AGENT}/CreateJoinToken`, 'admin', 'OK'],
  [`${AGENT}/PostStatus`, 'agent', 'OK'],
  [`${BUNDLE}/CountBundles`, 'admin', 'OK'],
  [`${BUNDLE}/GetBundle`, 'any', 'OK'],
  [`${BUNDLE}/AppendBundle`, 'admin', 'InvalidArgument'],
  [`${BUNDLE}/PublishJWTAuthority`, 'downstream', 'InvalidArgument'],
  [`${BUNDLE}/PublishWITAuthority`, 'downstream', 'Unimplemented'],
  [`${BUNDLE}/ListFederatedBundles`, 'admin', 'OK'],
  [`${BUNDLE}/GetFederatedBundle`, 'adminOrAgent', 'NotFound'],
  [`${BUNDLE}/BatchCreateFederatedBundle`, 'admin', 'OK'],
  [`${BUNDLE}/BatchUpdateFederatedBundle`, 'admin', 'OK'],
  [`${BUNDLE}/BatchSetFederatedBundle`, 'admin', 'OK'],
  [`${BUNDLE}/BatchDeleteFederatedBundle`, 'admin', 'OK'],
  ['spire.api.server.debug.v1.Debug/GetInfo', 'local', 'OK'],
  [`${ENTRY}/CountEntries`, 'registrar', 'OK'],
  [`${ENTRY}/ListEntries`, 'registrar', 'OK'],
  [`${ENTRY}/GetEntry`, 'registrar', 'NotFound'],
  [`${ENTRY}/BatchCreateEntry`, 'admin', 'OK'],
  [`${ENTRY}/BatchUpdateEntry`, 'admin', 'OK'],
  [`${ENTRY}/BatchDeleteEntry`, 'admin', 'OK'],
  [`${ENTRY}/GetAuthorizedEntries`, 'agent', 'OK'],
  [`${ENTRY}/SyncAuthorizedEntries`, 'agent', 'OK'],
  ...['X509', 'JWT', 'WIT'].flatMap((kind): (readonly [string, Who, string])[] => [
    [`${AUTHORITY}/Get${kind}AuthorityState`, 'admin', kind === 'WIT' ? 'Unimplemented' : 'OK'],
    [`${AUTHORITY}/Prepare${kind}Authority`, 'admin', kind === 'WIT' ? 'Unimplemented' : 'OK'],
    ...['Activate', 'Taint', 'Revoke'].map((step): readonly [string, Who, string] => [
      `${AUTHORITY}/${step}${kind}Authority`,
      'admin',
      kind === 'WIT' ? 'Unimplemented' : 'InvalidArgument',
    ]),
  ]),
  [`${AUTHORITY}/TaintX509UpstreamAuthority`, 'admin', 'FailedPrecondition'],
  [`${AUTHORITY}/RevokeX509UpstreamAuthority`, 'admin', 'FailedPrecondition'],
  ['spire.api.server.logger.v1.Logger/GetLogger', 'local', 'OK'],
  ['spire.api.server.logger.v1.Logger/SetLogLevel', 'local', 'OK'],
  ['spire.api.server.logger.v1.Logger/ResetLogLevel', 'local', 'OK'],
  [`${SVID}/MintX509SVID`, 'admin', 'OK'],
  [`${SVID}/MintJWTSVID`, 'admin', 'OK'],
  [`${SVID}/MintWITSVID`, 'admin', 'Unimplemented'],
  [`${SVID}/BatchNewX509SVID`, 'agent', 'OK'],
  [`${SVID}/NewJWTSVID`, 'agent', 'NotFound'],
  [`${SVID}/BatchNewWITSVID`, 'agent', 'Unimplemented'],
  [`${SVID}/NewDownstreamX509CA`, 'downstream', 'OK'],
  [`${TRUST_DOMAIN}/ListFederationRelationships`, 'admin', 'OK'],
  [`${TRUST_DOMAIN}/GetFederationRelationship`, 'admin', 'NotFound'],
  [`${TRUST_DOMAIN}/BatchCreateFederationRelationship`, 'admin', 'OK'],
  [`${TRUST_DOMAIN}/BatchUpdateFederationRelationship`, 'admin', 'OK'],
  [`${TRUST_DOMAIN}/BatchDeleteFederationRelationship`, 'admin', 'OK'],
  [`${TRUST_DOMAIN}/RefreshBundle`, 'admin', 'NotFound'],
  ['grpc.health.v1.Health/Check', 'local', 'OK'],
  ['grpc.health.v1.Health/List', 'local', 'OK'],
  ['grpc.health.v1.Health/Watch', 'local', 'OK'],
];

/** Method → caller → code, with the reason that agents act on. */
export function expectedAnswers(): Readonly<Record<string, Readonly<Record<Caller, string>>>> {
  return Object.fromEntries(
    METHODS.map(([method, who, code]) => [
      method,
      Object.fromEntries(
        CALLERS.map((caller) => [caller, ALLOWED[who].includes(caller) ? code : refusalOf(caller, who)]),
      ) as Record<Caller, string>,
    ]),
  );
}

/** Only where a method is for agents is anybody told what kind of agent it is not. */
function refusalOf(caller: Caller, who: Who): string {
  return who === 'agent' || who === 'adminOrAgent' ? refusalOfAgents(caller) : 'PermissionDenied';
}

function refusalOfAgents(caller: Caller): string {
  return caller === 'adminById' || caller === 'adminByEntry' || caller === 'registrar'
    ? REFUSALS.workload
    : REFUSALS[caller];
}
