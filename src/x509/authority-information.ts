import type { Certificate } from './certificate.ts';
import { parseDer, primitiveContext, Tag } from './der.ts';
import { OID } from './oids.ts';

/** As DER has a URI among general names. */
const URI = primitiveContext(6);

/**
 * Where a certificate says that the one above it can be had: URLs, as they stand there.
 *
 * @throws SpiffeError `DER_INVALID`
 * @see RFC 5280 §4.2.2.1
 */
export function findIssuerUrls({ extensions }: Certificate): readonly string[] {
  const extension = extensions.get(OID.authorityInfoAccess);
  if (extension === undefined) return [];
  return parseDer(extension.value, Tag.sequence, 'authority information access', (descriptions) => {
    const urls: string[] = [];
    while (!descriptions.isAtEnd) {
      const description = descriptions.enter(Tag.sequence, 'an access description');
      const method = description.readOid('an access method');
      const location = description.readElement('an access location');
      description.requireEnd('an access description');
      if (method === OID.caIssuers && location.tag === URI) urls.push(Buffer.from(location.content).toString('latin1'));
    }
    return urls;
  });
}
