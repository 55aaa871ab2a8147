import type { FederationRelationship } from '../gen/spire/api/types/types.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { requireGiven } from './api-ids.ts';
import { readFederationFile, toRelationship } from './federation-file.ts';
import { oneOf, text } from './flag-kinds.ts';
import type { FlagValues } from './flags.ts';
import { readInputFile } from './read-input-file.ts';
import type { Terminal } from './terminal.ts';

/** What a relationship is made of: by flags, or by a file for several. */
export const federationFlags = {
  trustDomain: text('The trust domain to federate with', 'TRUST_DOMAIN'),
  bundleEndpointURL: text('Where its bundle is, an https URL', 'URL'),
  bundleEndpointProfile: text('How the endpoint is known: https_web or https_spiffe', 'PROFILE'),
  endpointSpiffeID: text('SPIFFE ID of the endpoint, for https_spiffe', 'SPIFFE_ID'),
  trustDomainBundlePath: text('File with the bundle that it is trusted by at first', 'FILE'),
  trustDomainBundleFormat: oneOf('Format of that file', ['pem', 'spiffe']),
  data: text('JSON file with relationships, in place of the other flags; - for standard input', 'FILE'),
};

/** @throws SpiffeError `ARGUMENT_INVALID`, naming the flag or the item of the file */
export async function readRelationships(
  values: FlagValues<typeof federationFlags>,
  terminal: Terminal,
): Promise<readonly FederationRelationship[]> {
  const { data, trustDomainBundlePath: path, trustDomainBundleFormat: format } = values;
  const { trustDomain, bundleEndpointURL, bundleEndpointProfile, endpointSpiffeID } = values;
  if (data !== '') {
    const others = [trustDomain, bundleEndpointURL, bundleEndpointProfile, endpointSpiffeID, path];
    if (format !== 'pem' || others.some((value) => value !== '')) {
      throw new SpiffeError('ARGUMENT_INVALID', '-data has whole relationships: leave out the other flags');
    }
    return await readFederationFile(data, terminal);
  }
  requireGiven(trustDomain, 'give the -trustDomain to federate with, or a file with -data');
  requireGiven(bundleEndpointURL, 'give the -bundleEndpointURL, such as https://other.example:8443');
  requireGiven(bundleEndpointProfile, 'give the -bundleEndpointProfile, https_web or https_spiffe');
  const bundle = path === '' ? undefined : { text: await readInputFile(path, terminal), format };
  return [
    toRelationship({
      trustDomain,
      bundleEndpointUrl: bundleEndpointURL,
      profile: bundleEndpointProfile,
      endpointSpiffeId: endpointSpiffeID,
      bundle,
    }),
  ];
}
