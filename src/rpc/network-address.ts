import { isIP, SocketAddress } from 'node:net';

/** The other end of a TCP connection. */
export interface ClientAddress {
  /** IPv4 or IPv6, in its usual form; an IPv4 address that IPv6 wraps is unwrapped. */
  readonly address: string;
  readonly port: number;
}

const MAPPED = /^::ffff:(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})$/i;

/** One text for one address. @param text an IP address in any form */
export function usualForm(text: string): string {
  const isIpv6 = isIP(text) === 6 && !text.includes('%');
  const address = isIpv6 ? new SocketAddress({ address: text, family: 'ipv6' }).address : text;
  return MAPPED.exec(address)?.[1] ?? address;
}

/** What one subscriber has: an IPv4 address, or the first 64 bits of an IPv6 address. @param address in its usual form */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  const [plain = ''] = address.split('%');
  const [head = '', tail = ''] = plain.split('::');
  const before = groupsOf(head);
  const zeros = Array.from({ length: 8 - before.length - groupsOf(tail).length }, () => '0');
  return `${[...before, ...zeros, ...groupsOf(tail)].slice(0, 4).join(':')}::/64`;
}

/** An IPv4 address at the end stands for two. */
function groupsOf(text: string): string[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => (group.includes('.') ? [group, group] : [group]));
}
