import {
  type Certificate,
  decodePem,
  defineServerNodeAttestor,
  type HostServices,
  isSpiffeError,
  parseCertificate,
  readCapped,
  SpiffeError,
} from '../../plugin-sdk/index.ts';
import { attestPossession, type PopAttestorState } from './attest.ts';
import { popServerConfig } from './server-config.ts';

const KEY = 'ca_bundle_path';

/** Admits nodes that have the key of a certificate below a trusted CA, or of an X.509-SVID of this trust domain. */
export const popServerNodeAttestor = defineServerNodeAttestor({
  name: 'x509pop',
  config: popServerConfig,
  configure: async (config): Promise<PopAttestorState> => ({
    config,
    cas: (await Promise.all(config.ca_bundle_paths.map(readCas))).flat(),
  }),
  attest: (payload, state, { trustDomain, now, randomBytes, forwardedClientIp, host, signal, log }) =>
    attestPossession(payload, state, {
      trustDomain,
      now,
      randomBytes,
      ...(forwardedClientIp === undefined ? {} : { forwardedClientIp }),
      ownAuthorities: () => fetchOwnAuthorities(host, signal),
      warn: (message, facts) => log.warning(message, facts),
    }),
});

/** @throws SpiffeError `CONFIG_INVALID`, naming the file */
async function readCas(path: string): Promise<readonly Certificate[]> {
  const text = (await readCapped(KEY, path)).toString('latin1');
  try {
    const cas = decodePem(text, 'CERTIFICATE').map(parseCertificate);
    if (cas.length > 0) return cas;
  } catch (cause) {
    if (!isSpiffeError(cause)) throw cause;
    throw new SpiffeError('CONFIG_INVALID', `${KEY}: "${path}": ${cause.message}`, { cause });
  }
  throw new SpiffeError('CONFIG_INVALID', `${KEY}: "${path}" holds no PEM block "CERTIFICATE"`);
}

/** One that is tainted vouches for nobody new. */
async function fetchOwnAuthorities(host: HostServices, signal: AbortSignal): Promise<readonly Certificate[]> {
  const { bundle } = await (await host.identityProvider()).fetchX509Identity({}, { signal });
  const trusted = (bundle?.x509Authorities ?? []).filter(({ tainted }) => !tainted);
  return trusted.map(({ asn1 }) => parseCertificate(asn1));
}
