import type { CallContext, Interceptor } from '../../rpc/call.ts';
import { SpiffeError } from '../../spiffe/error.ts';

/**
 * Refuses calls of a service that a server-side request forgery could have made: who means to call sends the header.
 *
 * @see Workload Endpoint §3
 */
function requireHeader(service: string, header: string): Interceptor {
  return {
    before({ method, metadata }: CallContext): void {
      if (!method.startsWith(`/${service}/`)) return;
      const values = metadata.getAllText(header);
      if (values.length === 1 && values[0] === 'true') return;
      throw new SpiffeError('ARGUMENT_INVALID', 'security header missing from request');
    },
  };
}

export const securityHeader = requireHeader('SpiffeWorkloadAPI', 'workload.spiffe.io');
export const brokerSecurityHeader = requireHeader('spiffe.broker.API', 'broker.spiffe.io');
