import type { SdsConfig } from '../../config/agent-config.ts';
import type { Logger } from '../../log/logger.ts';
import type { Callers } from '../workload-api/workload-deps.ts';

/** What secret discovery is made of: the Workload API's ways to who calls and what that gets. */
export interface SecretDiscoveryDeps extends Callers {
  readonly sds: SdsConfig;
  readonly log: Logger;
}
