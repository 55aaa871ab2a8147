import { isIP } from 'node:net';
import { usualForm } from './network-address.ts';
import { invalidHeader, type ProxyHeader } from './proxy-header.ts';

/** With its CR and LF. §2.1 */
const MAX_BYTES = 107;
const START = 'PROXY ';
const LF = 0x0a;

/** One line of ASCII: `PROXY TCP4 192.0.2.7 192.0.2.1 40000 8081`. @see HAProxy's proxy-protocol.txt, §2.1 */
export function parseProxyHeaderV1(bytes: Uint8Array): ProxyHeader | undefined {
  const head = Buffer.from(bytes.subarray(0, MAX_BYTES));
  const start = head.toString('latin1', 0, START.length);
  if (!START.startsWith(start)) throw invalidHeader('does not begin with "PROXY "');
  const end = head.indexOf(LF);
  if (end === -1) {
    if (head.length < MAX_BYTES) return undefined;
    throw invalidHeader(`has no end within ${MAX_BYTES} bytes`);
  }
  const line = head.toString('latin1', START.length, end);
  if (!line.endsWith('\r')) throw invalidHeader('does not end with CR and LF');
  return { length: end + 1, ...clientOf(line.slice(0, -1)) };
}

function clientOf(line: string): Pick<ProxyHeader, 'client'> {
  const [protocol, source = '', destination = '', sourcePort = '', destinationPort = '', ...more] = line.split(' ');
  if (protocol === 'UNKNOWN') return {}; // whatever follows is to be ignored
  if (protocol !== 'TCP4' && protocol !== 'TCP6') throw invalidHeader('is for neither TCP4 nor TCP6 nor UNKNOWN');
  if (more.length > 0) throw invalidHeader('has more than two addresses and two ports');
  requireAddress(destination, protocol);
  portOf(destinationPort);
  return { client: { address: requireAddress(source, protocol), port: portOf(sourcePort) } };
}

function requireAddress(text: string, protocol: 'TCP4' | 'TCP6'): string {
  if (text.includes('%') || isIP(text) !== (protocol === 'TCP4' ? 4 : 6)) {
    throw invalidHeader(`has an address that is none of ${protocol}: ${JSON.stringify(text)}`);
  }
  return usualForm(text);
}

function portOf(text: string): number {
  const port = Number(text);
  if (!/^(0|[1-9]\d{0,4})$/.test(text) || port > 65_535) {
    throw invalidHeader(`has a port that is none: ${JSON.stringify(text)}`);
  }
  return port;
}
