import { isSpiffeError } from '../spiffe/error.ts';
import type { Certificate } from './certificate.ts';
import { type ChainOptions, verifyChain } from './chain.ts';

/**
 * A chain to any root first, then one to each root that has one: SPIRE gives a selector for every CA of every chain.
 *
 * @throws SpiffeError `CERTIFICATE_UNTRUSTED` where there is none
 */
export function verifyChains(options: ChainOptions): readonly (readonly Certificate[])[] {
  const first = verifyChain(options);
  return [first, ...options.roots.flatMap((root) => findChain({ ...options, roots: [root] }))];
}

function findChain(options: ChainOptions): readonly (readonly Certificate[])[] {
  try {
    return [verifyChain(options)];
  } catch (error) {
    if (!isSpiffeError(error)) throw error;
    return [];
  }
}
