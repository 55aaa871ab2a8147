import type { HelperConfig } from '../config/helper-config.ts';
import { parseBundleDocument } from '../spiffe/bundle-document.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { parseSpiffeId, trustDomainOf } from '../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import type { WrittenFile } from './publisher.ts';

/**
 * The files made of an answer of `FetchJWTBundles`. What no standard names is spiffe-helper's: its file is an object, by
 * the name of a trust domain the JWK set in base64.
 *
 * @param bundles JWK sets by trust domain ID
 * @param own the trust domain whose JWK set has a file of its own; undefined where none is wanted
 * @throws SpiffeError `BUNDLE_INVALID`, `SPIFFE_ID_INVALID`; `BUNDLE_NOT_FOUND` without the own one
 */
export function jwtBundleFiles(
  bundles: Readonly<Record<string, Uint8Array>>,
  { jwtBundles, jwks }: Pick<HelperConfig, 'jwtBundles' | 'jwks'>,
  own: TrustDomain | undefined,
): readonly WrittenFile[] {
  const documents = new Map<TrustDomain, Uint8Array>();
  for (const [id, document] of Object.entries(bundles).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const trustDomain = trustDomainOf(parseSpiffeId(id));
    parseBundleDocument(Buffer.from(document).toString('utf8'), trustDomain); // nobody is given what cannot be read
    documents.set(trustDomain, document);
  }
  const files: WrittenFile[] = [];
  if (jwtBundles !== undefined) {
    const inBase64 = [...documents].map(([name, document]) => [name, Buffer.from(document).toString('base64')]);
    files.push({ ...jwtBundles, content: JSON.stringify(Object.fromEntries(inBase64)) });
  }
  if (jwks !== undefined && own !== undefined) {
    const document = documents.get(own);
    if (document === undefined) throw new SpiffeError('BUNDLE_NOT_FOUND', `the agent has no JWT bundle of "${own}"`);
    files.push({ ...jwks, content: Buffer.from(document).toString('utf8') });
  }
  return files;
}
