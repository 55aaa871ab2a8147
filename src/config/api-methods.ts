/**
 * Groups of methods by what they do to what, for roles and for the audit log. A group that only agents, downstream servers
 * or strangers call has no `forRoles`: what they are decides there, and no role.
 */
export interface MethodGroup {
  readonly methods: readonly string[];
  readonly forRoles: boolean;
  /** What a scope of a role says of it: by entries, by agents, by the SPIFFE ID of what is minted; absent: nothing, so no role with a scope has it. */
  readonly scopedBy?: 'entry' | 'agent' | 'spiffe_id';
}

const AGENT = 'spire.api.server.agent.v1.Agent';
const BUNDLE = 'spire.api.server.bundle.v1.Bundle';
const ENTRY = 'spire.api.server.entry.v1.Entry';
const SVID = 'spire.api.server.svid.v1.SVID';
const TRUST_DOMAIN = 'spire.api.server.trustdomain.v1.TrustDomain';
const AUTHORITY = 'spire.api.server.localauthority.v1.LocalAuthority';
const LOGGER = 'spire.api.server.logger.v1.Logger';

const of = (service: string, ...names: readonly string[]) => names.map((name) => `/${service}/${name}`);

/** Source: inventory 2.3. */
export const METHOD_GROUPS: Readonly<Record<string, MethodGroup>> = {
  'entries:read': {
    methods: of(ENTRY, 'CountEntries', 'ListEntries', 'GetEntry'),
    forRoles: true,
    scopedBy: 'entry',
  },
  'entries:write': {
    methods: of(ENTRY, 'BatchCreateEntry', 'BatchUpdateEntry', 'BatchDeleteEntry'),
    forRoles: true,
    scopedBy: 'entry',
  },
  'entries:sync': { methods: of(ENTRY, 'GetAuthorizedEntries', 'SyncAuthorizedEntries'), forRoles: false },
  'agents:read': { methods: of(AGENT, 'CountAgents', 'ListAgents', 'GetAgent'), forRoles: true, scopedBy: 'agent' },
  'agents:write': { methods: of(AGENT, 'DeleteAgent', 'BanAgent'), forRoles: true, scopedBy: 'agent' },
  'agents:attest': { methods: of(AGENT, 'AttestAgent', 'RenewAgent', 'PostStatus'), forRoles: false },
  'join-tokens:create': { methods: of(AGENT, 'CreateJoinToken'), forRoles: true },
  'svids:mint': {
    methods: of(SVID, 'MintX509SVID', 'MintJWTSVID', 'MintWITSVID'),
    forRoles: true,
    scopedBy: 'spiffe_id',
  },
  'svids:sign': {
    methods: of(SVID, 'BatchNewX509SVID', 'NewJWTSVID', 'BatchNewWITSVID', 'NewDownstreamX509CA'),
    forRoles: false,
  },
  'bundles:read': {
    methods: of(BUNDLE, 'CountBundles', 'ListFederatedBundles', 'GetFederatedBundle'),
    forRoles: true,
  },
  'bundles:write': {
    methods: of(
      BUNDLE,
      'AppendBundle',
      'BatchCreateFederatedBundle',
      'BatchUpdateFederatedBundle',
      'BatchSetFederatedBundle',
      'BatchDeleteFederatedBundle',
    ),
    forRoles: true,
  },
  'bundles:get': { methods: of(BUNDLE, 'GetBundle'), forRoles: false },
  'bundles:publish': { methods: of(BUNDLE, 'PublishJWTAuthority', 'PublishWITAuthority'), forRoles: false },
  'federation:read': {
    methods: of(TRUST_DOMAIN, 'ListFederationRelationships', 'GetFederationRelationship'),
    forRoles: true,
  },
  'federation:write': {
    methods: of(
      TRUST_DOMAIN,
      'BatchCreateFederationRelationship',
      'BatchUpdateFederationRelationship',
      'BatchDeleteFederationRelationship',
      'RefreshBundle',
    ),
    forRoles: true,
  },
  'authorities:read': {
    methods: of(AUTHORITY, 'GetX509AuthorityState', 'GetJWTAuthorityState', 'GetWITAuthorityState'),
    forRoles: true,
  },
  'authorities:write': {
    methods: of(
      AUTHORITY,
      'PrepareX509Authority',
      'ActivateX509Authority',
      'TaintX509Authority',
      'RevokeX509Authority',
      'TaintX509UpstreamAuthority',
      'RevokeX509UpstreamAuthority',
      'PrepareJWTAuthority',
      'ActivateJWTAuthority',
      'TaintJWTAuthority',
      'RevokeJWTAuthority',
      'PrepareWITAuthority',
      'ActivateWITAuthority',
      'TaintWITAuthority',
      'RevokeWITAuthority',
    ),
    forRoles: true,
  },
  'debug:read': { methods: of('spire.api.server.debug.v1.Debug', 'GetInfo'), forRoles: true },
  'logger:read': { methods: of(LOGGER, 'GetLogger'), forRoles: true },
  'logger:write': { methods: of(LOGGER, 'SetLogLevel', 'ResetLogLevel'), forRoles: true },
  'health:read': { methods: of('grpc.health.v1.Health', 'Check', 'List', 'Watch'), forRoles: true },
};

/** The group of a method, given as `/package.Service/Method`. */
export function groupOfMethod(method: string): MethodGroup | undefined {
  return Object.values(METHOD_GROUPS).find(({ methods }) => methods.includes(method));
}

/** `entries:read`, or one method as `package.Service/Method`, with or without a slash before. @returns nothing for an unknown one. */
export function findMethods(text: string): readonly string[] | undefined {
  if (Object.hasOwn(METHOD_GROUPS, text)) return METHOD_GROUPS[text]?.methods;
  const method = text.startsWith('/') ? text : `/${text}`;
  return groupOfMethod(method) === undefined ? undefined : [method];
}

/** What may be written where a method is asked for. */
export function methodNames(): readonly string[] {
  const all = Object.values(METHOD_GROUPS).flatMap(({ methods }) => methods.map((method) => method.slice(1)));
  return [...Object.keys(METHOD_GROUPS), ...all];
}
