import { KeyManagerDefinition as AgentKeyManagerDefinition } from '../../../gen/spire/plugin/agent/keymanager/v1/keymanager.ts';
import { NodeAttestorDefinition as AgentNodeAttestorDefinition } from '../../../gen/spire/plugin/agent/nodeattestor/v1/nodeattestor.ts';
import { SVIDStoreDefinition } from '../../../gen/spire/plugin/agent/svidstore/v1/svidstore.ts';
import { WorkloadAttestorDefinition } from '../../../gen/spire/plugin/agent/workloadattestor/v1/workloadattestor.ts';
import { BundlePublisherDefinition } from '../../../gen/spire/plugin/server/bundlepublisher/v1/bundlepublisher.ts';
import { CredentialComposerDefinition } from '../../../gen/spire/plugin/server/credentialcomposer/v1/credentialcomposer.ts';
import { KeyManagerDefinition as ServerKeyManagerDefinition } from '../../../gen/spire/plugin/server/keymanager/v1/keymanager.ts';
import { NodeAttestorDefinition as ServerNodeAttestorDefinition } from '../../../gen/spire/plugin/server/nodeattestor/v1/nodeattestor.ts';
import { NotifierDefinition } from '../../../gen/spire/plugin/server/notifier/v1/notifier.ts';
import { UpstreamAuthorityDefinition } from '../../../gen/spire/plugin/server/upstreamauthority/v1/upstreamauthority.ts';
import type { PluginConnection } from '../../../plugin-host/plugin-connection.ts';
import { SpiffeError } from '../../../spiffe/error.ts';
import type { PluginKind } from '../../trial/offered-kinds.ts';
import { CALL_MS } from '../session.ts';

/** A call of a kind that changes nothing, for rules which need any call at all. */
export interface FirstCall {
  /** The name of its method. */
  readonly method: string;
  /** Settles as the plugin answers it, with an error too. */
  call(connection: PluginConnection): Promise<unknown>;
}

/** Some rules make many of them at once. */
const options = { deadlineMs: 2 * CALL_MS };
const GARBAGE = Buffer.from('assayer conformance: no payload of anybody');

const FIRST_CALLS: Readonly<Record<string, FirstCall>> = {
  'server KeyManager': {
    method: 'GetPublicKeys',
    call: (connection) => connection.client(ServerKeyManagerDefinition).getPublicKeys({}, options),
  },
  'agent KeyManager': {
    method: 'GetPublicKeys',
    call: (connection) => connection.client(AgentKeyManagerDefinition).getPublicKeys({}, options),
  },
  'server NodeAttestor': {
    method: 'Attest',
    async call(connection) {
      await using stream = connection.client(ServerNodeAttestorDefinition).attest(options);
      await stream.send({ request: { $case: 'payload', value: GARBAGE } });
      return await stream.receive();
    },
  },
  'agent NodeAttestor': {
    method: 'AidAttestation',
    async call(connection) {
      await using stream = connection.client(AgentNodeAttestorDefinition).aidAttestation(options);
      return await stream.receive();
    },
  },
  'server UpstreamAuthority': {
    method: 'MintX509CAAndSubscribe',
    async call(connection) {
      const request = { csr: GARBAGE, preferredTtl: 3_600 };
      await using stream = connection.client(UpstreamAuthorityDefinition).mintX509CAAndSubscribe(request, options);
      return await stream.receive();
    },
  },
  'server Notifier': {
    method: 'Notify',
    call: (connection) => connection.client(NotifierDefinition).notify({ event: undefined }, options),
  },
  'server BundlePublisher': {
    method: 'PublishBundle',
    call: (connection) => connection.client(BundlePublisherDefinition).publishBundle({ bundle: undefined }, options),
  },
  'server CredentialComposer': {
    method: 'ComposeServerX509SVID',
    call(connection) {
      const subject = { ...EMPTY_NAME, country: ['US'], organization: ['SPIRE'] };
      const attributes = { subject, dnsSans: [], extraExtensions: [] };
      return connection.client(CredentialComposerDefinition).composeServerX509SVID({ attributes }, options);
    },
  },
  'agent SVIDStore': {
    method: 'DeleteX509SVID',
    call: (connection) => connection.client(SVIDStoreDefinition).deleteX509SVID({ metadata: [] }, options),
  },
  'agent WorkloadAttestor': {
    method: 'Attest',
    call: (connection) => connection.client(WorkloadAttestorDefinition).attest({ pid: process.pid }, options),
  },
};

/** @throws SpiffeError for a kind that there is not */
export function firstCallOf({ side, type }: PluginKind): FirstCall {
  const found = FIRST_CALLS[`${side} ${type}`];
  if (found === undefined) throw new SpiffeError('ARGUMENT_INVALID', `there is no ${type} for the ${side}`);
  return found;
}

/** A name with nothing in it, to be completed. */
export const EMPTY_NAME = {
  country: [],
  organization: [],
  organizationalUnit: [],
  locality: [],
  province: [],
  streetAddress: [],
  postalCode: [],
  serialNumber: '',
  commonName: '',
  extraNames: [],
};
