import type { CallContext, Interceptor } from '../../rpc/call.ts';
import { SpiffeError } from '../../spiffe/error.ts';

const WORKLOAD_API = '/SpiffeWorkloadAPI/';
const HEADER = 'workload.spiffe.io';

/** Refuses calls of the Workload API that a server-side request forgery could have made. @see Workload Endpoint §3 */
export const securityHeader: Interceptor = {
  before({ method, metadata }: CallContext): void {
    if (!method.startsWith(WORKLOAD_API)) return;
    const values = metadata.getAllText(HEADER);
    if (values.length === 1 && values[0] === 'true') return;
    throw new SpiffeError('ARGUMENT_INVALID', 'security header missing from request');
  },
};
