export type { SignatureHash } from '../addon/raw-signature.ts';
export { SpiffeError } from '../spiffe/error.ts';
export { agentId, parseSpiffeId, type SpiffeId } from '../spiffe/spiffe-id.ts';
export type { TrustDomain } from '../spiffe/trust-domain.ts';
export type { KeyType } from '../x509/signer.ts';
export { type AgentNodeAttestorDefinition, defineAgentNodeAttestor } from './agent-node-attestor.ts';
export type { AttestationContext } from './attestation-context.ts';
export type { ConfigurationOptions, ConfigureContext } from './configuration.ts';
export type { HostServices } from './host-services.ts';
export {
  defineKeyManager,
  type KeyManagerDefinition,
  type KeyRecord,
  type SignatureOptions,
} from './key-manager.ts';
export type { Plugin, PluginRuntime } from './plugin.ts';
export { servePlugin } from './serve-plugin.ts';
export {
  type AgentAttributes,
  defineServerNodeAttestor,
  type ServerNodeAttestorDefinition,
} from './server-node-attestor.ts';
export { SoftwareKey } from './software-key.ts';
export { SoftwareKeys } from './software-keys.ts';
export { defineWorkloadAttestor, type WorkloadAttestorDefinition, type WorkloadContext } from './workload-attestor.ts';
