import { expect, test } from 'vitest';
import { rpcKey } from '../../src/telemetry/rpc-key.ts';

// As SPIRE's servers and agents name them: inventory M001, M062.
test.each([
  ['/spire.api.server.svid.v1.SVID/MintX509SVID', 'rpc.svid.v1.svid.mint_x509svid'],
  ['/spire.api.server.entry.v1.Entry/BatchCreateEntry', 'rpc.entry.v1.entry.batch_create_entry'],
  [
    '/spire.api.server.trustdomain.v1.TrustDomain/GetFederationRelationship',
    'rpc.trustdomain.v1.trust_domain.get_federation_relationship',
  ],
  ['/spire.api.server.logger.v1.Logger/GetLogger', 'rpc.logger.get_logger'],
  ['/spire.api.agent.logger.v1.Logger/GetLogger', 'rpc.logger.get_logger'],
  [
    '/spire.api.agent.delegatedidentity.v1.DelegatedIdentity/SubscribeToX509SVIDs',
    'rpc.delegated_identity.subscribe_to_x509_svids',
  ],
  ['/SpiffeWorkloadAPI/FetchJWTSVID', 'rpc.workload_api.fetch_jwtsvid'],
  ['/grpc.health.v1.Health/Check', 'rpc.health.check'],
  ['/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets', 'rpc.sds.v3.stream_secrets'],
  ['/assayer.plugin.v1.Plugins/ListPlugins', 'rpc.assayer.plugin.v1.plugins.list_plugins'],
])('%s is %s', (path, key) => {
  expect(rpcKey(path).join('.')).toBe(key);
});
