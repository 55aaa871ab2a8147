import type { DiscoveryRequest, DiscoveryResponse } from '../../gen/envoy/service/discovery/v3/discovery.ts';
import type { CallContext } from '../../rpc/call.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { quoteText } from '../../spiffe/quote-text.ts';
import { noIdentity, viewsOf } from '../workload-api/workload-views.ts';
import { requestedNames } from './discovery-request.ts';
import { findSecrets } from './find-secrets.ts';
import type { SecretDiscoveryDeps } from './secret-discovery-deps.ts';
import { toResponse } from './secret-subscription.ts';
import { usesSpiffeValidator } from './spiffe-validator.ts';

/**
 * `FetchSecrets`: all that is asked for, or a refusal that names what the caller does not get.
 *
 * @throws SpiffeError `NO_IDENTITY`; `ARGUMENT_INVALID` for a name that nothing is given for; `UNAVAILABLE` where the
 *   server is needed to sign, and fails.
 */
export const fetchSecrets =
  (deps: SecretDiscoveryDeps) =>
  async (request: DiscoveryRequest, context: CallContext): Promise<DiscoveryResponse> => {
    const names = requestedNames(request);
    const options = { sds: deps.sds, spiffeValidator: usesSpiffeValidator(request.node, deps.sds) };
    for await (const view of viewsOf(context, deps)) {
      if (view.entries.length === 0) throw noIdentity();
      const { secrets, awaited, refused } = findSecrets(names, view, options);
      const [first] = refused;
      if (first !== undefined && names.length > 0) {
        throw new SpiffeError('ARGUMENT_INVALID', `there is no secret ${quoteText(first.name)}: ${first.reason}`);
      }
      if (awaited.length === 0) return toResponse(secrets);
      if (view.hindrance !== undefined) throw view.hindrance;
    }
    throw new SpiffeError('CANCELLED', 'the caller cancelled');
  };
