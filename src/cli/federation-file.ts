import { type FederationRelationship, HTTPSWebProfile } from '../gen/spire/api/types/types.ts';
import { isSpiffeError, SpiffeError } from '../spiffe/error.ts';
import { parseSpiffeId } from '../spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../spiffe/trust-domain.ts';
import { JsonFields } from './json-fields.ts';
import { type BundleFormat, parseApiBundle } from './parse-api-bundle.ts';
import { isObject, parseJsonObject, readInputFile } from './read-input-file.ts';
import type { Terminal } from './terminal.ts';

/** A relationship in words. */
export interface GivenRelationship {
  readonly trustDomain: string;
  readonly bundleEndpointUrl: string;
  readonly profile: string;
  readonly endpointSpiffeId: string;
  readonly bundle: { readonly text: string; readonly format: BundleFormat } | undefined;
}

/**
 * Reads the relationships of a file as SPIRE takes them for `-data`: `{"federationRelationships": [{"trustDomain": …,
 * "bundleEndpointURL": …, "bundleEndpointProfile": …, "endpointSPIFFEID": …, "trustDomainBundle": …,
 * "trustDomainBundleFormat": …}]}`. The bundle is a text of PEM certificates, or an object that is a SPIFFE bundle document.
 *
 * @param path `-` for standard input
 * @throws SpiffeError naming the item
 */
export async function readFederationFile(path: string, terminal: Terminal): Promise<readonly FederationRelationship[]> {
  const source = path === '-' ? 'standard input' : `"${path}"`;
  const items = new JsonFields(parseJsonObject(await readInputFile(path, terminal), source), source).list(
    'federationRelationships',
  );
  if (items.length === 0) throw new SpiffeError('ARGUMENT_INVALID', `${source} has no "federationRelationships"`);
  return items.map((item, index) => {
    const where = `${source}: federationRelationships[${index}]`;
    if (!isObject(item)) throw new SpiffeError('ARGUMENT_INVALID', `${where} is no JSON object`);
    try {
      return toRelationship(fromJson(new JsonFields(item, where)));
    } catch (cause) {
      if (!isSpiffeError(cause) || cause.message.startsWith(where)) throw cause;
      throw new SpiffeError(cause.code, `${where}: ${cause.message}`, { cause });
    }
  });
}

function fromJson(fields: JsonFields): GivenRelationship {
  return {
    trustDomain: fields.text('trustDomain'),
    bundleEndpointUrl: fields.text('bundleEndpointURL'),
    profile: fields.text('bundleEndpointProfile'),
    endpointSpiffeId: fields.text('endpointSPIFFEID'),
    bundle: fields.value('trustDomainBundle') === undefined ? undefined : bundleFrom(fields),
  };
}

function bundleFrom(fields: JsonFields): GivenRelationship['bundle'] {
  const format = fields.text('trustDomainBundleFormat');
  switch (format) {
    case 'pem':
      return { text: fields.text('trustDomainBundle'), format };
    case 'spiffe':
      return { text: JSON.stringify(fields.value('trustDomainBundle')), format };
    default:
      throw new SpiffeError(
        'ARGUMENT_INVALID',
        `trustDomainBundleFormat ${JSON.stringify(format)} is none of pem, spiffe`,
      );
  }
}

/** @throws SpiffeError `ARGUMENT_INVALID`, `SPIFFE_ID_INVALID`, `BUNDLE_INVALID` */
export function toRelationship(given: GivenRelationship): FederationRelationship {
  const { trustDomain, bundleEndpointUrl, bundle } = given;
  if (trustDomain === '') throw new SpiffeError('ARGUMENT_INVALID', 'trust domain is required');
  if (bundleEndpointUrl === '') throw new SpiffeError('ARGUMENT_INVALID', 'bundle endpoint URL is required');
  return {
    trustDomain: parseTrustDomain(trustDomain),
    bundleEndpointUrl,
    bundleEndpointProfile: toProfile(given),
    trustDomainBundle: bundle && parseApiBundle(bundle.text, bundle.format, trustDomain),
  };
}

function toProfile({ profile, endpointSpiffeId }: GivenRelationship): FederationRelationship['bundleEndpointProfile'] {
  switch (profile) {
    case 'https_web':
      return { $case: 'httpsWeb', value: HTTPSWebProfile.create() };
    case 'https_spiffe':
      if (endpointSpiffeId === '') {
        throw new SpiffeError('ARGUMENT_INVALID', 'endpoint SPIFFE ID is required if the profile is https_spiffe');
      }
      return { $case: 'httpsSpiffe', value: { endpointSpiffeId: parseSpiffeId(endpointSpiffeId) } };
    default:
      throw new SpiffeError(
        'ARGUMENT_INVALID',
        `unknown bundle endpoint profile ${JSON.stringify(profile)}: give https_web or https_spiffe`,
      );
  }
}
