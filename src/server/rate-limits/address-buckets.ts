import { networkOf } from '../../rpc/network-address.ts';
import { TokenBucket } from '../../rpc/token-bucket.ts';

/** A bucket that is full again is forgotten, so this many is how many addresses call within a second. */
const MAX_ADDRESSES = 65_536;
/** Each new address looks at so many old ones: more leave than come. */
const FORGET_AT_ONCE = 2;

/** One bucket an address, an IPv6 network of 64 bits being one; memory is bounded, whoever calls. */
export class AddressBuckets {
  readonly #perSecond: number;
  readonly #burst: number | undefined;
  readonly #maxAddresses: number;
  /** The one used last is last. */
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(
    perSecond: number,
    {
      burst,
      maxAddresses = MAX_ADDRESSES,
    }: { readonly burst?: number | undefined; readonly maxAddresses?: number } = {},
  ) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#maxAddresses = maxAddresses;
  }

  get size(): number {
    return this.#buckets.size;
  }

  of(address: string): TokenBucket {
    const network = networkOf(address);
    const known = this.#buckets.get(network);
    if (known === undefined) this.#forget();
    return this.#renew(network, known ?? new TokenBucket(this.#perSecond, this.#burst));
  }

  #renew(network: string, bucket: TokenBucket): TokenBucket {
    this.#buckets.delete(network);
    this.#buckets.set(network, bucket);
    return bucket;
  }

  /** Old ones that nothing is lost by, and the oldest where there are too many; never one with a line, which connections pay for. */
  #forget(): void {
    const isFull = this.#buckets.size >= this.#maxAddresses;
    let looks = 0;
    for (const [network, bucket] of this.#buckets) {
      if (bucket.hasLine) this.#renew(network, bucket);
      else if (bucket.isIdle || (isFull && looks === 0)) this.#buckets.delete(network);
      looks += 1;
      if (looks >= FORGET_AT_ONCE) return;
    }
  }
}
