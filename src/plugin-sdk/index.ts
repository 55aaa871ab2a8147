export { z } from 'zod';
export type { SignatureHash } from '../addon/raw-signature.ts';
export {
  choice,
  cidr,
  durationMs,
  flag,
  onEveryBlock,
  optionalPort,
  optionalText,
  orUnset,
  refused,
  textList,
  tpmManufacturer,
  wholeNumber,
} from '../config/fields.ts';
export { findFileState } from '../files/file-state.ts';
export { readCapped } from '../files/read-capped.ts';
export { writeFileAtomically } from '../files/write-file-atomically.ts';
export { answerTo, readBody } from '../http/read-answer.ts';
export { requestFromWeb, type WebAnswer, type WebRequest } from '../http/web-request.ts';
export { refusalWith } from '../rpc/operator-reason.ts';
export { statFields, statusField } from '../rpc/process-fields.ts';
export { RemoteError, statusOf } from '../rpc/status.ts';
export {
  type Bundle,
  type JwtAuthority,
  sameJwtAuthorities,
  sameX509Authorities,
  type X509Authority,
} from '../spiffe/bundle.ts';
export { formatBundleDocument, formatBundleJwks, formatBundlePem } from '../spiffe/bundle-document.ts';
export type {
  CredentialSubject,
  ExtraExtension,
  JwtSvidAttributes,
  NamedAttribute,
  X509CaAttributes,
  X509SvidAttributes,
} from '../spiffe/credential-attributes.ts';
export { isSpiffeError, messageOf, SpiffeError } from '../spiffe/error.ts';
export { quoteText } from '../spiffe/quote-text.ts';
export { RecentMap } from '../spiffe/recent-map.ts';
export { agentId, parseSpiffeId, type SpiffeId, trustDomainOf } from '../spiffe/spiffe-id.ts';
export { Status } from '../spiffe/status.ts';
export type { TrustDomain } from '../spiffe/trust-domain.ts';
export { findIssuerUrls } from '../x509/authority-information.ts';
export { type CaCertificateOptions, issueCaCertificate } from '../x509/ca-template.ts';
export { type Certificate, parseCertificate } from '../x509/certificate.ts';
export { verifyChain } from '../x509/chain.ts';
export { verifyChains } from '../x509/chains-by-root.ts';
export { isNamed, isSignedWith, parseSignedData, type SignedData } from '../x509/cms.ts';
export { type CertificateRevocationList, parseCrl } from '../x509/crl.ts';
export { type CertificateRequest, parseCsr } from '../x509/csr.ts';
export { type GeneralName, GeneralNameTag } from '../x509/extensions.ts';
export { attributeText, formatName, parseName } from '../x509/name.ts';
export { OID } from '../x509/oids.ts';
export { decodePem, encodePem } from '../x509/pem.ts';
export { randomSerialNumber } from '../x509/serial-number.ts';
export { type KeyType, type Signer, signerOfKeyObject } from '../x509/signer.ts';
export { canonicalSpki, keyTypeOfSpki, parseSpki, publicKeyOfSpki } from '../x509/spki.ts';
export { type AgentNodeAttestorDefinition, defineAgentNodeAttestor } from './agent-node-attestor.ts';
export {
  type AgentPathTemplate,
  type AgentPathTemplateOptions,
  agentPathTemplate,
  parseAgentPathTemplate,
} from './agent-path-template.ts';
export type { AttestationContext } from './attestation-context.ts';
export { type BundlePublisherDefinition, defineBundlePublisher } from './bundle-publisher.ts';
export type { ConfigurationOptions, ConfigureContext } from './configuration.ts';
export {
  type CredentialComposerDefinition,
  defineCredentialComposer,
  type SvidSubject,
} from './credential-composer.ts';
export { requireFirstUse } from './first-use.ts';
export type { Freshness } from './freshness.ts';
export type { HostServices } from './host-services.ts';
export { encodeJsonMessage, JsonMessage, type JsonMessageFields, type JsonMessageOptions } from './json-message.ts';
export {
  defineKeyManager,
  type KeyManagerDefinition,
  type KeyRecord,
  type SignatureOptions,
} from './key-manager.ts';
export { defineNotifier, type NotifierDefinition } from './notifier.ts';
export type { Plugin, PluginRuntime } from './plugin.ts';
export type { PluginContext } from './plugin-context.ts';
export { servePlugin } from './serve-plugin.ts';
export {
  type AgentAttributes,
  defineServerNodeAttestor,
  type ServerAttestationContext,
  type ServerNodeAttestorDefinition,
} from './server-node-attestor.ts';
export { SoftwareKey } from './software-key.ts';
export { SoftwareKeys } from './software-keys.ts';
export { defineSvidStore, type StoredX509Svid, type SvidStoreDefinition } from './svid-store.ts';
export * from './tpm.ts';
export { type DownstreamCa, UpperServer, type UpperServerOptions } from './upper-server.ts';
export {
  defineUpstreamAuthority,
  type MintedX509Ca,
  type MintRequest,
  type UpstreamAuthorityDefinition,
  type UpstreamBundle,
} from './upstream-authority.ts';
export {
  defineWorkloadAttestor,
  type WorkloadAttestorDefinition,
  type WorkloadContext,
  type WorkloadReferenceContext,
} from './workload-attestor.ts';
export { WorkloadIdentity, type WorkloadIdentityOptions, type WorkloadX509Svid } from './workload-identity.ts';
export type { WorkloadReference } from './workload-reference.ts';
