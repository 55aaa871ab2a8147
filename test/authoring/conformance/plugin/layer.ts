import { setTimeout as delay } from 'node:timers/promises';
import { HealthCheckResponse_ServingStatus, HealthDefinition } from '../../../../src/gen/grpc/health/v1/health.ts';
import {
  GRPCBrokerDefinition,
  GRPCControllerDefinition,
  GRPCStdioDefinition,
  StdioData_Channel,
} from '../../../../src/gen/plugin/plugin.ts';
import { ConfigDefinition } from '../../../../src/gen/spire/service/common/config/v1/config.ts';
import { InitDefinition } from '../../../../src/gen/spire/service/private/init/v1/init.ts';
import { type BoundService, bindService } from '../../../../src/rpc/service.ts';
import { SpiffeError } from '../../../../src/spiffe/error.ts';
import type { PluginState } from './state.ts';

const EMPTY_METHOD = GRPCControllerDefinition.methods.shutdown;

/** What go-plugin and SPIRE want of every plugin, with one defect at most. */
export function layerServices(
  state: PluginState,
  own: readonly BoundService[],
  end: () => void,
): readonly BoundService[] {
  const { SERVING, NOT_SERVING } = HealthCheckResponse_ServingStatus;
  const offered = Promise.withResolvers<void>();
  let isOffered = false;
  void offered.promise.then(() => {
    isOffered = true;
  });
  const [first] = own;
  return [
    bindService(HealthDefinition, {
      check: async ({ service }) => {
        if (service !== 'plugin') throw new SpiffeError('SERVICE_NOT_FOUND', 'no such service');
        return { status: state.has('sick') ? NOT_SERVING : SERVING };
      },
      async *watch() {
        yield { status: SERVING };
      },
    }),
    bindService(GRPCBrokerDefinition, {
      async *startStream(requests, { signal }) {
        if (state.has('broker-ends')) return;
        for await (const _ of requests) offered.resolve();
        await untilAborted(signal);
        yield* [];
      },
    }),
    bindService(GRPCStdioDefinition, {
      async *streamStdio(_request, { signal }) {
        if (state.has('stdio-ends')) return;
        if (state.has('stdio-channel')) yield { channel: StdioData_Channel.INVALID, data: Buffer.from('x') };
        await untilAborted(signal);
      },
    }),
    bindService(GRPCControllerDefinition, {
      shutdown: async () => {
        if (!state.has('stays')) setImmediate(end);
        return {};
      },
    }),
    bindService(InitDefinition, {
      init: async () => {
        if (state.has('impatient') && !isOffered) await delay(100);
        if (state.has('impatient') && !isOffered) throw new SpiffeError('PLUGIN_PROTOCOL', 'no host services');
        await offered.promise;
        const names = [...own, { definition: ConfigDefinition }].map(({ definition }) => definition.fullName);
        if (state.has('init-nothing')) return { pluginServiceNames: [] };
        return { pluginServiceNames: state.has('init-others') ? [...names, 'company.Extra'] : names };
      },
      deinit: async () => {
        if (state.has('deinit-fails')) throw new SpiffeError('INTERNAL', 'cannot end');
        return {};
      },
    }),
    configService(state),
    ...(state.has('unknown-method') && first ? [answersAll(first.definition.fullName)] : []),
    ...(state.has('unknown-service') ? [answersAll('company.Nobody')] : []),
  ];
}

function configService(state: PluginState): BoundService {
  let configured = 0;
  const judge = (text: string) => {
    if (!text.includes('garbage') && !/[{[]/.test(text)) return;
    throw new SpiffeError(state.has('garbage-internal') ? 'INTERNAL' : 'CONFIG_INVALID', 'that is no HCL');
  };
  return bindService(ConfigDefinition, {
    configure: async ({ coreConfiguration, hclConfiguration }) => {
      if (state.has('config-refuses')) throw new SpiffeError('CONFIG_INVALID', 'the path is missing');
      if (coreConfiguration === undefined && state.has('no-core-crash')) process.exit(3);
      if (coreConfiguration === undefined) throw new SpiffeError('CONFIG_INVALID', 'no trust domain');
      if (state.has('garbage-crash') && hclConfiguration !== '') process.exit(3);
      if (!state.has('garbage-taken')) judge(hclConfiguration);
      if (state.has('config-once') && configured > 0) throw new SpiffeError('CONFIG_INVALID', 'configured already');
      configured++;
      if (!state.has('trust-domain-stays') || state.trustDomain === undefined) {
        state.trustDomain = coreConfiguration.trustDomain;
      }
      return {};
    },
    validate: async ({ hclConfiguration }) => {
      if (state.has('validate-resets')) state.trustDomain = undefined;
      if (state.has('validate-notes')) return { valid: true, notes: ['looks good'] };
      if (state.has('validate-takes-garbage')) return { valid: true, notes: [] };
      try {
        judge(hclConfiguration);
        return { valid: true, notes: [] };
      } catch {
        return { valid: false, notes: state.has('validate-silent') ? [] : ['that is no HCL'] };
      }
    },
  });
}

function answersAll(fullName: string): BoundService {
  const call = { ...EMPTY_METHOD, name: 'NoSuchMethod' };
  return bindService({ fullName, methods: { call } } as const, { call: async () => ({}) });
}

export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
