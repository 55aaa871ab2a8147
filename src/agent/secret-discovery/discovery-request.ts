import type { DiscoveryRequest } from '../../gen/envoy/service/discovery/v3/discovery.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { quoteText } from '../../spiffe/quote-text.ts';
import { SECRET_TYPE } from './secret.ts';

/** Envoy opens a stream for each secret; a proxy that shares one asks for a handful. */
const MAX_NAMES = 256;
/** A SPIFFE ID has 2048 at most; Istio's names hold one or two paths. */
const MAX_NAME_BYTES = 8 * 1024;

/**
 * The names that a request asks for, each once; none asks for everything.
 *
 * @throws SpiffeError `ARGUMENT_INVALID` for resources of another type, for too many names and for one that is too long.
 */
export function requestedNames({ typeUrl, resourceNames }: DiscoveryRequest): readonly string[] {
  if (typeUrl !== '' && typeUrl !== SECRET_TYPE) {
    throw new SpiffeError('ARGUMENT_INVALID', `resources here are of type ${SECRET_TYPE}, not ${quoteText(typeUrl)}`);
  }
  if (resourceNames.length > MAX_NAMES) {
    throw new SpiffeError(
      'ARGUMENT_INVALID',
      `${resourceNames.length} resource names are too many, ${MAX_NAMES} at most`,
    );
  }
  for (const name of resourceNames) {
    const bytes = Buffer.byteLength(name);
    if (bytes <= MAX_NAME_BYTES) continue;
    throw new SpiffeError(
      'ARGUMENT_INVALID',
      `resource name ${quoteText(name)} has ${bytes} bytes, ${MAX_NAME_BYTES} at most`,
    );
  }
  return [...new Set(resourceNames)].filter((name) => name !== '');
}
