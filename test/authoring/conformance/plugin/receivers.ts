import { SVIDStoreDefinition } from '../../../../src/gen/spire/plugin/agent/svidstore/v1/svidstore.ts';
import { BundlePublisherDefinition } from '../../../../src/gen/spire/plugin/server/bundlepublisher/v1/bundlepublisher.ts';
import { CredentialComposerDefinition } from '../../../../src/gen/spire/plugin/server/credentialcomposer/v1/credentialcomposer.ts';
import {
  NotifierDefinition,
  type NotifyRequest,
} from '../../../../src/gen/spire/plugin/server/notifier/v1/notifier.ts';
import { type BoundService, bindService } from '../../../../src/rpc/service.ts';
import { SpiffeError } from '../../../../src/spiffe/error.ts';
import type { PluginState } from './state.ts';

// Kinds that are told something and have little to say.

const fails = (): never => {
  throw new SpiffeError('INTERNAL', 'it does not work');
};

export function notifier(state: PluginState): BoundService {
  let loaded = 0;
  const { methods } = NotifierDefinition;
  const takesAnything = { ...methods.notify.requestType, decode: (): NotifyRequest => ({ event: undefined }) };
  const notify = state.has('decodes-anything') ? { ...methods.notify, requestType: takesAnything } : methods.notify;
  return bindService(
    { ...NotifierDefinition, methods: { ...methods, notify } },
    {
      notify: async ({ event }) => {
        await state.enter();
        if (event !== undefined && state.has('updated-fails')) fails();
        if (event !== undefined && state.has('crash')) process.kill(process.pid, 'SIGSEGV');
        if (event !== undefined && state.has('hang')) await new Promise(() => {});
        return {};
      },
      notifyAndAdvise: async () => {
        await state.enter();
        if (state.has('loaded-fails') || (state.has('loaded-once') && loaded > 0)) fails();
        loaded++;
        return {};
      },
    },
  );
}

export function bundlePublisher(state: PluginState): BoundService {
  let last: bigint | undefined;
  return bindService(BundlePublisherDefinition, {
    publishBundle: async ({ bundle }) => {
      await state.enter();
      const sequence = bundle?.sequenceNumber;
      if (state.has('publish-fails')) fails();
      if (state.has('publish-same-fails') && sequence !== undefined && sequence === last) fails();
      if (state.has('publish-changed-fails') && last !== undefined && sequence !== last) fails();
      last = sequence;
      return {};
    },
  });
}

export function svidStore(state: PluginState): BoundService {
  const stored = new Set<string>();
  return bindService(SVIDStoreDefinition, {
    putX509SVID: async ({ metadata }) => {
      await state.enter();
      const key = metadata.join();
      if (state.has('put-fails') || (state.has('put-once') && stored.has(key))) fails();
      stored.add(key);
      return {};
    },
    deleteX509SVID: async ({ metadata }) => {
      await state.enter();
      const key = metadata.join();
      if (key === '') {
        if (state.has('delete-nothing-fails')) fails();
        throw new SpiffeError('ARGUMENT_INVALID', 'no metadata');
      }
      if (state.has('delete-fails') || (state.has('delete-again-fails') && !stored.has(key))) fails();
      stored.delete(key);
      return {};
    },
  });
}

export function credentialComposer(state: PluginState): BoundService {
  const extension = { oid: 'no oid', value: new Uint8Array(0), critical: false };
  const svid = async (of: string) => {
    await state.enter();
    if (state.has(`compose-${of}`)) {
      return { attributes: { subject: undefined, dnsSans: [], extraExtensions: [extension] } };
    }
    return { attributes: undefined };
  };
  return bindService(CredentialComposerDefinition, {
    composeServerX509CA: async ({ attributes }) => {
      await state.enter();
      if (state.has('compose-ca-fails')) fails();
      return { attributes: attributes && state.has('compose-ca') ? { ...attributes, subject: undefined } : attributes };
    },
    composeServerX509SVID: () => svid('server'),
    composeAgentX509SVID: () => svid('agent'),
    composeWorkloadX509SVID: () => svid('workload'),
    composeWorkloadJWTSVID: async ({ attributes }) => {
      await state.enter();
      return { attributes: state.has('compose-jwt') ? { claims: undefined } : attributes };
    },
  });
}
