import type { SdsConfig } from '../../config/agent-config.ts';
import type { Logger } from '../../log/logger.ts';
import type { FollowDeps } from '../workloads/follow-workload.ts';

/** What secret discovery is made of: the Workload API's ways to who calls and what that gets. */
export interface SecretDiscoveryDeps extends FollowDeps {
  readonly sds: SdsConfig;
  readonly log: Logger;
}
