import { setTimeout as delay } from 'node:timers/promises';
import { HealthDefinition, HealthCheckResponse_ServingStatus as ServingStatus } from '../gen/grpc/health/v1/health.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { type BoundService, bindService } from './service.ts';

const POLL_MS = 1_000;

/** gRPC health of a whole program, service name empty. Inventory R063 to R065, R077. */
export function healthService(isHealthy: () => boolean): BoundService {
  const check = (service: string) => {
    if (service !== '') throw new SpiffeError('SERVICE_NOT_FOUND', `no health of "${service}" is kept, ask for ""`);
    return isHealthy() ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
  };
  return bindService(HealthDefinition, {
    check: async ({ service }) => ({ status: check(service) }),
    list: async () => ({ statuses: { '': { status: check('') } } }),
    async *watch({ service }, { signal }) {
      let last: ServingStatus | undefined;
      while (!signal.aborted) {
        const status = service === '' ? check(service) : ServingStatus.SERVICE_UNKNOWN;
        if (status !== last) yield { status };
        last = status;
        await delay(POLL_MS, undefined, { signal }).catch(() => {}); // ends with the call
      }
    },
  });
}
