import { BlockList, isIP } from 'node:net';

/** Networks whose hosts are believed whom they speak for. */
export class TrustedProxies {
  readonly #networks = new BlockList();

  /** @param networks in CIDR notation, such as `10.0.0.0/8` */
  constructor(networks: readonly string[]) {
    for (const network of networks) {
      const [address = '', bits] = network.split('/');
      this.#networks.addSubnet(address, Number(bits), familyOf(address));
    }
  }

  /** @param address in its usual form */
  has(address: string): boolean {
    return isIP(address) !== 0 && this.#networks.check(address, familyOf(address));
  }
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4';
}
