import type { FileIdentity } from '../../../http/certificate-files.ts';
import type { ShownIdentity } from '../../../http/tls-listener.ts';
import type { ServerIdentity, X509Identity } from '../../server-identity.ts';

/** The server's own X.509-SVID, for the profile https_spiffe. SPIFFE Federation §5.2.2. */
export function shownSvid(identity: ServerIdentity): ShownIdentity {
  return {
    get current() {
      return toShown(identity.current);
    },
    subscribe: (listener) => identity.subscribe((current) => listener(toShown(current))),
  };
}

function toShown({ chain, privateKey }: X509Identity): FileIdentity {
  return { certificates: chain, privateKey, clientCas: undefined };
}
