import { APP_PROTOCOL_VERSION, CORE_PROTOCOL_VERSION } from '../rpc/go-plugin.ts';
import type { Handshake } from '../rpc/handshake.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { quoteText } from '../spiffe/quote-text.ts';

/**
 * Refuses what this host does not speak: another version, TCP, net/rpc, a certificate that nobody asked for or none
 * where one was.
 *
 * @throws SpiffeError `PLUGIN_PROTOCOL`
 */
export function requireUsableHandshake(handshake: Handshake, autoMtls: boolean): void {
  const { coreVersion, protocolVersion, network, protocol, certificate, multiplexed } = handshake;
  if (coreVersion !== CORE_PROTOCOL_VERSION) {
    refuse(`go-plugin's protocol ${coreVersion}, this host speaks ${CORE_PROTOCOL_VERSION}: rebuild the plugin`);
  }
  if (protocolVersion !== APP_PROTOCOL_VERSION) {
    refuse(`version ${protocolVersion} of the plugin protocol, this host speaks ${APP_PROTOCOL_VERSION}`);
  }
  if (network !== 'unix') refuse(`the network ${quoteText(network)}, only a Unix socket is taken`);
  if (protocol !== 'grpc') {
    refuse(`the protocol ${quoteText(protocol)}, not "grpc": it is from before SPIRE 1.0 and has to be rebuilt`);
  }
  if (multiplexed === true) refuse('multiplexing, which was not asked for');
  if (certificate !== undefined && !autoMtls) {
    refuse('a TLS certificate, which was not asked for: leave field 6 empty, or set auto_mtls = true');
  }
  if (certificate === undefined && autoMtls) {
    refuse('no TLS certificate although auto_mtls is set: the plugin is too old for it');
  }
}

function refuse(what: string): never {
  throw new SpiffeError('PLUGIN_PROTOCOL', `its handshake offers ${what}`);
}
