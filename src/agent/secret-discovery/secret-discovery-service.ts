import { SecretDiscoveryServiceDefinition } from '../../gen/envoy/service/secret/v3/sds.ts';
import { type BoundService, bindService } from '../../rpc/service.ts';
import { fetchSecrets } from './fetch-secrets.ts';
import type { SecretDiscoveryDeps } from './secret-discovery-deps.ts';
import { streamSecrets } from './stream-secrets.ts';

/** Envoy's secret discovery, version 3. `DeltaSecrets` answers `UNIMPLEMENTED`. Inventory R074 to R076. */
export function secretDiscoveryService(deps: SecretDiscoveryDeps): BoundService {
  return bindService(
    SecretDiscoveryServiceDefinition,
    { streamSecrets: streamSecrets(deps), fetchSecrets: fetchSecrets(deps) },
    ['streamSecrets'],
  );
}
