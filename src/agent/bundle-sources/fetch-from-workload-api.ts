import { SpiffeWorkloadAPIDefinition } from '../../gen/workload/workload.ts';
import { RpcChannel } from '../../rpc/channel.ts';
import { createClient } from '../../rpc/client.ts';
import { WORKLOAD_METADATA } from '../../rpc/workload-metadata.ts';
import { type Bundle, emptyBundle } from '../../spiffe/bundle.ts';
import { messageOf, SpiffeError } from '../../spiffe/error.ts';
import { quoteText } from '../../spiffe/quote-text.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { parseCertificate } from '../../x509/certificate.ts';
import { splitCertificates } from '../../x509/split-certificates.ts';

const DEADLINE_MS = 30_000;
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

/**
 * The bundle of our trust domain as the Workload API of another agent has it, such as that of the node below. Whoever
 * may be asked there is as good as the bundle in a file. Inventory C101.
 *
 * @param address as in `SPIFFE_ENDPOINT_SOCKET`
 * @throws SpiffeError `SERVER_UNREACHABLE`, `BUNDLE_NOT_FOUND`
 */
export async function fetchFromWorkloadApi(
  address: string,
  trustDomain: TrustDomain,
  signal: AbortSignal,
): Promise<Bundle> {
  const bundles = await firstBundles(address, signal);
  const der = bundles[`spiffe://${trustDomain}`];
  if (der === undefined) {
    const others = Object.keys(bundles).slice(0, 5).join(', ');
    throw new SpiffeError(
      'BUNDLE_NOT_FOUND',
      `the Workload API at ${quoteText(address)} has no bundle of "${trustDomain}", but of ${others}: correct trust_domain or trust_bundle_spiffe_workload_api, or let the entry of this agent's process there federate with it`,
    );
  }
  const certificates = splitCertificates(der, 'bundle');
  certificates.forEach(parseCertificate); // what does not parse verifies nothing
  const x509Authorities = certificates.map((certificate) => ({ certificate, tainted: false }));
  return { ...emptyBundle(trustDomain), x509Authorities };
}

async function firstBundles(address: string, signal: AbortSignal): Promise<Readonly<Record<string, Uint8Array>>> {
  const options = { maxMessageBytes: MAX_MESSAGE_BYTES };
  using channel = address.startsWith('unix:')
    ? RpcChannel.unix(address.replace(/^unix:\/+/, '/'), options)
    : RpcChannel.tcp(new URL(address).host, options);
  const client = createClient(SpiffeWorkloadAPIDefinition, channel);
  try {
    await using stream = client.fetchX509Bundles({}, { metadata: WORKLOAD_METADATA, signal, deadlineMs: DEADLINE_MS });
    return (await stream.receive())?.bundles ?? {};
  } catch (cause) {
    const reason = messageOf(cause);
    throw new SpiffeError(
      'SERVER_UNREACHABLE',
      `the trust bundle cannot be had from the Workload API at ${quoteText(address)}, see trust_bundle_spiffe_workload_api: ${reason}`,
      { cause },
    );
  }
}
