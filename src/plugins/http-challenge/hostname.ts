import { isIPv4 } from 'node:net';
import { quoteText, SpiffeError } from '../../plugin-sdk/index.ts';

const MAX_LENGTH = 253;
const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/;
/** What a resolver takes for an address: `127.1`, `0x7f000001`, `2130706433`. */
const NUMBER = /^(0x[0-9a-f]*|[0-9]+)$/;

/**
 * One name has one form, since it becomes the agent's ID: `Node1` and `node1.` would be three agents on one node.
 *
 * @throws SpiffeError `ATTESTATION_DENIED`
 */
export function requireHostname(hostname: string): void {
  if (hostname === 'localhost' || hostname.endsWith('.localhost')) {
    throw denied(hostname, 'is this server’s own: set the agent’s "hostname" to its name in DNS');
  }
  if (isIPv4(hostname)) return;
  const labels = hostname.split('.');
  if (/[A-Z]/.test(hostname)) throw denied(hostname, 'has capital letters: set the agent’s "hostname" in small ones');
  if (hostname.length > MAX_LENGTH || !labels.every((label) => LABEL.test(label))) {
    throw denied(hostname, 'is no name of DNS: labels of letters, digits and "-", with a "." between them');
  }
  if (NUMBER.test(labels.at(-1) ?? '')) throw denied(hostname, 'is a number, and no address in its usual form');
}

function denied(hostname: string, reason: string): SpiffeError {
  return new SpiffeError('ATTESTATION_DENIED', `the hostname ${quoteText(hostname)} ${reason}`);
}
