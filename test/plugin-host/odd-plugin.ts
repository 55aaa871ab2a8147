import { createServer } from 'node:net';
import { HealthCheckResponse_ServingStatus, HealthDefinition } from '../../src/gen/grpc/health/v1/health.ts';
import { GRPCBrokerDefinition } from '../../src/gen/plugin/plugin.ts';
import { ConfigDefinition } from '../../src/gen/spire/service/common/config/v1/config.ts';
import { InitDefinition } from '../../src/gen/spire/service/private/init/v1/init.ts';
import { Logger } from '../../src/log/logger.ts';
import { RpcServer } from '../../src/rpc/server.ts';
import { bindService } from '../../src/rpc/service.ts';
import { SpiffeError } from '../../src/spiffe/error.ts';

// A plugin with no more than a host needs: no stdio, no controller that ends it, no Deinit, no Validate. With the
// argument "sick" its health service says so; further arguments are the services that it names in Init.
const [health = '', ...services] = process.argv.slice(2);
const unimplemented = (): never => {
  throw new SpiffeError('UNIMPLEMENTED', 'this is not there');
};

const server = RpcServer.create({
  log: new Logger(() => {}, 'error'),
  services: [
    bindService(InitDefinition, {
      init: async () => ({ pluginServiceNames: services }),
      deinit: async () => unimplemented(),
    }),
    bindService(ConfigDefinition, { configure: async () => ({}), validate: async () => unimplemented() }),
    bindService(GRPCBrokerDefinition, { startStream: (requests) => requests }),
    ...(health === 'sick'
      ? [
          bindService(HealthDefinition, {
            check: async () => ({ status: HealthCheckResponse_ServingStatus.NOT_SERVING }),
            list: async () => unimplemented(),
            async *watch() {
              yield unimplemented();
            },
          }),
        ]
      : []),
  ],
});
const path = `${process.env.PLUGIN_UNIX_SOCKET_DIR}/odd`;
createServer((socket) => server.accept(socket, { kind: 'plugin' })).listen(path, () => {
  process.stdout.write(`1|1|unix|${path}|grpc|\n`);
});
