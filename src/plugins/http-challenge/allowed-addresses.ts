import { BlockList, isIP } from 'node:net';

/**
 * No node is there: this machine itself, its links (where clouds hand out credentials), groups, what is reserved, and ways to
 * write an IPv4 address as one of IPv6. Private networks are where nodes are. Source: RFC 6890, RFC 6052, RFC 4380
 */
const NEVER_A_NODE = [
  ...['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '192.0.0.0/24', '224.0.0.0/4', '240.0.0.0/4'],
  ...[
    '::/96',
    '64:ff9b::/96',
    '64:ff9b:1::/48',
    '100::/64',
    '2001::/32',
    '2002::/16',
    'fe80::/10',
    'fec0::/10',
    'ff00::/8',
  ],
];

/** Which addresses a challenge may be fetched from. */
export interface AllowedAddresses {
  isAllowed(address: string): boolean;
}

/** @param networks CIDR; where one at least is given, these and no others */
export function allowedAddresses(networks: readonly string[]): AllowedAddresses {
  const isGiven = networks.length > 0;
  const list = blockListOf(isGiven ? networks : NEVER_A_NODE);
  return { isAllowed: (address) => isIP(address) !== 0 && list.check(address, familyOf(address)) === isGiven };
}

function blockListOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', bits = ''] = network.split('/');
    list.addSubnet(address, Number(bits), familyOf(address));
  }
  return list;
}

const familyOf = (address: string) => (isIP(address) === 6 ? 'ipv6' : 'ipv4');
