/** Who may call, by what they are. Source: inventory 2.3. */
export type CallerClass = 'any' | 'local' | 'admin' | 'agent' | 'downstream';

const ADMINISTRATION: readonly CallerClass[] = ['admin', 'local'];
const AGENTS: readonly CallerClass[] = ['agent'];
const DOWNSTREAM: readonly CallerClass[] = ['downstream'];
const ANYBODY: readonly CallerClass[] = ['any'];
const LOCAL: readonly CallerClass[] = ['local'];

const methods = (service: string, classes: readonly CallerClass[], names: readonly string[]) =>
  names.map((name) => [`/${service}/${name}`, classes] as const);

/** A method that is not listed is nobody's. */
export const CALL_POLICY: ReadonlyMap<string, readonly CallerClass[]> = new Map([
  ...methods('spire.api.server.agent.v1.Agent', ADMINISTRATION, [
    'CountAgents',
    'ListAgents',
    'GetAgent',
    'DeleteAgent',
    'BanAgent',
    'CreateJoinToken',
  ]),
  ...methods('spire.api.server.agent.v1.Agent', ANYBODY, ['AttestAgent']),
  ...methods('spire.api.server.agent.v1.Agent', AGENTS, ['RenewAgent', 'PostStatus']),
  ...methods('spire.api.server.bundle.v1.Bundle', ADMINISTRATION, [
    'CountBundles',
    'AppendBundle',
    'ListFederatedBundles',
    'BatchCreateFederatedBundle',
    'BatchUpdateFederatedBundle',
    'BatchSetFederatedBundle',
    'BatchDeleteFederatedBundle',
  ]),
  ...methods('spire.api.server.bundle.v1.Bundle', DOWNSTREAM, ['PublishWITAuthority']),
  ...methods('spire.api.server.trustdomain.v1.TrustDomain', ADMINISTRATION, [
    'ListFederationRelationships',
    'GetFederationRelationship',
    'BatchCreateFederationRelationship',
    'BatchUpdateFederationRelationship',
    'BatchDeleteFederationRelationship',
    'RefreshBundle',
  ]),
  ...methods('spire.api.server.bundle.v1.Bundle', ANYBODY, ['GetBundle']),
  ...methods('spire.api.server.bundle.v1.Bundle', [...ADMINISTRATION, 'agent'], ['GetFederatedBundle']),
  ...methods('spire.api.server.entry.v1.Entry', ADMINISTRATION, [
    'CountEntries',
    'ListEntries',
    'GetEntry',
    'BatchCreateEntry',
    'BatchUpdateEntry',
    'BatchDeleteEntry',
  ]),
  ...methods('spire.api.server.entry.v1.Entry', AGENTS, ['GetAuthorizedEntries', 'SyncAuthorizedEntries']),
  ...methods('spire.api.server.svid.v1.SVID', ADMINISTRATION, ['MintX509SVID', 'MintJWTSVID', 'MintWITSVID']),
  ...methods('spire.api.server.svid.v1.SVID', AGENTS, ['BatchNewX509SVID', 'NewJWTSVID', 'BatchNewWITSVID']),
  ...methods('spire.api.server.svid.v1.SVID', DOWNSTREAM, ['NewDownstreamX509CA']),
  ...methods('spire.api.server.bundle.v1.Bundle', DOWNSTREAM, ['PublishJWTAuthority']),
  ...methods(
    'spire.api.server.localauthority.v1.LocalAuthority',
    ADMINISTRATION,
    ['JWT', 'X509', 'WIT'].flatMap((kind) => [
      `Get${kind}AuthorityState`,
      `Prepare${kind}Authority`,
      `Activate${kind}Authority`,
      `Taint${kind}Authority`,
      `Revoke${kind}Authority`,
    ]),
  ),
  ...methods('spire.api.server.localauthority.v1.LocalAuthority', ADMINISTRATION, [
    'TaintX509UpstreamAuthority',
    'RevokeX509UpstreamAuthority',
  ]),
  ...methods('spire.api.server.debug.v1.Debug', LOCAL, ['GetInfo']),
  ...methods('spire.api.server.logger.v1.Logger', LOCAL, ['GetLogger', 'SetLogLevel', 'ResetLogLevel']),
  ...methods('assayer.server.watch.v1.Watch', AGENTS, ['WatchChanges', 'FindEntries']),
  ...methods('assayer.server.reattest.v1.Reattestation', AGENTS, ['Reattest']),
  ...methods('assayer.server.reattest.v1.History', ADMINISTRATION, ['ListVerdicts']),
  ...methods('assayer.server.explain.v1.Explain', ADMINISTRATION, ['ExplainEntries', 'PreviewEntries']),
  ...methods('assayer.server.explain.v1.Explain', AGENTS, ['CountMatches']),
  ...methods('assayer.server.attempts.v1.Attempts', ADMINISTRATION, ['ListAttempts']),
  ...methods('assayer.server.apply.v1.Apply', ADMINISTRATION, ['ApplyEntries']),
  ...methods('assayer.server.datastore.v1.Datastore', LOCAL, ['Backup']),
  ...methods('assayer.plugin.v1.Plugins', LOCAL, ['ListPlugins', 'ReloadPlugin']),
  ...methods('grpc.reflection.v1.ServerReflection', LOCAL, ['ServerReflectionInfo']),
  ...methods('grpc.reflection.v1alpha.ServerReflection', LOCAL, ['ServerReflectionInfo']),
  ...methods('grpc.health.v1.Health', LOCAL, ['Check', 'List', 'Watch']),
]);
