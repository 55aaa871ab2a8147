import {
  type AgentAttributes,
  quoteText,
  type ServerAttestationContext,
  SpiffeError,
  type SpiffeId,
} from '../../plugin-sdk/index.ts';
import { decodeResponse, FIRST_PAYLOAD } from './attestation-messages.ts';
import { verifyAttestedDocument } from './attested-document.ts';
import type { AzureAttestorState } from './attestor-state.ts';
import { findMachine, findScaleSetMachine } from './find-machine.ts';
import { selectorsOf } from './selectors.ts';

/** Half as many as letters in the nonce, which has 32, as SPIRE's has. */
const NONCE_BYTES = 16;
/** For all that Azure is asked for one machine. */
const DEADLINE_MS = 30_000;
const MAX_FIRST_PAYLOAD_BYTES = 1024;

type Context = Pick<ServerAttestationContext, 'trustDomain' | 'signal' | 'now' | 'randomBytes'>;

/**
 * The server's half: yields a nonce, receives the document that Azure signed for it, and returns an agent's ID and selectors.
 *
 * @param requireFirstUse refuses an agent that is attested
 * @throws SpiffeError that says why the machine is not admitted
 * @see docs/plugins/azure-imds.md
 */
export async function* admitMachine(
  payload: Uint8Array,
  { config, roots, issuers, tenants }: AzureAttestorState,
  { trustDomain, signal, now, randomBytes }: Context,
  requireFirstUse: (id: SpiffeId) => Promise<void>,
): AsyncGenerator<Uint8Array, AgentAttributes, Uint8Array> {
  if (payload.length > MAX_FIRST_PAYLOAD_BYTES) {
    const expected = Buffer.from(FIRST_PAYLOAD).toString();
    throw new SpiffeError(
      'ARGUMENT_INVALID',
      `the azure_imds payload has ${payload.length} bytes, expected is "${expected}"`,
    );
  }
  const nonce = Buffer.from(await randomBytes(NONCE_BYTES)).toString('hex');
  const response = decodeResponse(yield new Uint8Array(Buffer.from(nonce)));
  const tenant = tenants.get(response.agentDomain);
  if (tenant === undefined) {
    throw new SpiffeError('ATTESTATION_DENIED', `the tenant ${quoteText(response.agentDomain)} is not in "tenants"`);
  }
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]);
  const proof = await verifyAttestedDocument(
    response.signature,
    nonce,
    {
      roots,
      metadataDomains: config.allowed_metadata_domains,
      findIssuer: (certificate) => issuers.find(certificate, deadline),
    },
    await now(),
  );
  const { subscriptionId, vmId } = proof;
  const { restrict_to_subscriptions: allowed, allowed_vm_tags: allowedTags } = tenant.config;
  if (allowed.length > 0 && !allowed.includes(subscriptionId)) {
    throw new SpiffeError(
      'ATTESTATION_DENIED',
      `the subscription "${subscriptionId}" is not in "restrict_to_subscriptions" of the tenant "${response.agentDomain}"`,
    );
  }
  const spiffeId = config.agent_path_template.agentId(trustDomain, {
    PluginName: 'azure_imds',
    TenantID: await tenant.id(),
    SubscriptionID: subscriptionId,
    VMID: vmId,
  });
  await requireFirstUse(spiffeId);
  // Nothing in the document says whose the machine is: that this tenant's application sees it does.
  const { scaleSetName } = response;
  const machine =
    scaleSetName === undefined
      ? await findMachine(proof, tenant.api, deadline)
      : await findScaleSetMachine(proof, scaleSetName, tenant.api, deadline);
  return { spiffeId, selectorValues: selectorsOf(proof, machine, scaleSetName, allowedTags), canReattest: false };
}
