import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';

let context: SecureContext | undefined;

/**
 * Whoever may vouch for a web server, as this machine has it: the certificates of the system (or of `SSL_CERT_FILE` and
 * `SSL_CERT_DIR`), where it has none those that come with Node, and those of `NODE_EXTRA_CA_CERTS`. Read once.
 */
export function webRootsContext(): SecureContext {
  context ??= webContextOf(machineRoots());
  return context;
}

/** @param roots PEM */
export function webContextOf(roots: readonly string[]): SecureContext {
  return createSecureContext({ ca: [...roots], minVersion: 'TLSv1.2' });
}

/** PEM. */
export function machineRoots(): readonly string[] {
  const system = getCACertificates('system');
  return [...new Set([...(system.length > 0 ? system : getCACertificates('bundled')), ...getCACertificates('extra')])];
}
