import {
  HealthDefinition,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '../../gen/grpc/health/v1/health.ts';
import { type BoundService, bindService } from '../../rpc/service.ts';
import { SpiffeError } from '../../spiffe/error.ts';

const POLL_MS = 1_000;

/** gRPC health of the whole program, service name empty. Inventory R063 to R065. */
export function healthService(isHealthy: () => Promise<boolean>): BoundService {
  const check = async (service: string) => {
    if (service !== '') throw new SpiffeError('SERVICE_NOT_FOUND', `no health of "${service}" is kept, ask for ""`);
    return (await isHealthy()) ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
  };
  return bindService(HealthDefinition, {
    check: async ({ service }) => ({ status: await check(service) }),
    list: async () => ({ statuses: { '': { status: await check('') } } }),
    async *watch({ service }, { signal }) {
      let last: ServingStatus | undefined;
      while (!signal.aborted) {
        const status = service === '' ? await check(service) : ServingStatus.SERVICE_UNKNOWN;
        if (status !== last) yield { status };
        last = status;
        await pause(POLL_MS, signal);
      }
    },
  });
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener('abort', done, { once: true });
    function done() {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
  });
}
