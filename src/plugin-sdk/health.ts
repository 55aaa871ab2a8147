import { HealthCheckResponse_ServingStatus, HealthDefinition } from '../gen/grpc/health/v1/health.ts';
import { HEALTH_SERVICE_NAME } from '../rpc/go-plugin.ts';
import { type BoundService, bindService } from '../rpc/service.ts';
import { SpiffeError } from '../spiffe/error.ts';

/** go-plugin's liveness: the service name `plugin` is serving while the process can answer at all. */
export const pluginHealth: BoundService = bindService(HealthDefinition, {
  async check({ service }) {
    return { status: requireKnown(service) };
  },
  async *watch({ service }, { signal }) {
    yield { status: requireKnown(service) };
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  },
});

function requireKnown(service: string): HealthCheckResponse_ServingStatus {
  if (service === '' || service === HEALTH_SERVICE_NAME) return HealthCheckResponse_ServingStatus.SERVING;
  throw new SpiffeError('SERVICE_NOT_FOUND', `no such service "${service}"`);
}
