import { SpiffeWorkloadAPIDefinition } from '../../gen/workload/workload.ts';
import { type BoundService, bindService } from '../../rpc/service.ts';
import { fetchJwtBundles, fetchJwtSvid, validateJwtSvidCall } from './jwt.ts';
import type { WorkloadDeps } from './workload-deps.ts';
import { fetchX509Bundles, fetchX509Svid } from './x509.ts';

/** The SPIFFE Workload API. Its WIT calls answer `UNIMPLEMENTED`. Inventory R067 to R071. */
export function workloadService(deps: WorkloadDeps): BoundService {
  return bindService(SpiffeWorkloadAPIDefinition, {
    fetchX509SVID: fetchX509Svid(deps),
    fetchX509Bundles: fetchX509Bundles(deps),
    fetchJWTSVID: fetchJwtSvid(deps),
    fetchJWTBundles: fetchJwtBundles(deps),
    validateJWTSVID: validateJwtSvidCall(deps),
  });
}
