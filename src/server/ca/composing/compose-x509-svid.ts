import type { ExtraExtension } from '../../../spiffe/credential-attributes.ts';
import { decodeName } from '../../../x509/name.ts';
import { svidSubject } from '../../../x509/svid-template.ts';
import type { X509SvidRequest } from '../svid-issuer.ts';
import type { Composers } from './composers.ts';
import { encodeSubject } from './require-x509-attributes.ts';

export interface ComposedX509SvidRequest extends X509SvidRequest {
  readonly extraExtensions?: readonly ExtraExtension[];
}

/** The request with what composers made of it. */
export async function composeX509Svid(
  request: X509SvidRequest,
  composers: Composers,
): Promise<ComposedX509SvidRequest> {
  const { spiffeId, publicKey, dnsNames } = request;
  const given = { subject: subjectOf(request), dnsNames, extraExtensions: [] };
  const composed = await composers.composeX509Svid({ spiffeId, publicKey }, given);
  if (composed === given) return request;
  const { subject, extraExtensions } = composed;
  return { ...request, dnsNames: composed.dnsNames, subject: encodeSubject(subject), extraExtensions };
}

function subjectOf({ subject, dnsNames }: X509SvidRequest) {
  if (subject === undefined) return svidSubject(dnsNames);
  const { attributes, others } = decodeName(subject);
  return others.length === 0 ? attributes : { ...attributes, extraNames: others };
}
