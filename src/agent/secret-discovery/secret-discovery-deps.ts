import type { SdsConfig } from '../../config/agent-config.ts';
import type { Logger } from '../../log/logger.ts';
import type { WorkloadDeps } from '../workload-api/workload-deps.ts';

/** What secret discovery is made of: the Workload API's ways to who calls and what that gets. */
export interface SecretDiscoveryDeps extends Pick<WorkloadDeps, 'attest' | 'watch'> {
  readonly sds: SdsConfig;
  readonly log: Logger;
}
