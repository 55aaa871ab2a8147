/** Odd primes up to 167: enough for one false alarm in 2²⁷ keys. */
const PRIMES = [
  3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113,
  127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/** For each prime, the residues that are a power of 65537. */
const FINGERPRINT = PRIMES.map((prime) => {
  const powers = new Set<number>();
  for (let power = 1; !powers.has(power); power = (power * 65537) % prime) {
    powers.add(power);
  }
  return { prime: BigInt(prime), powers };
});

/**
 * Tells whether an RSA modulus has the structure of keys from the library in CVE-2017-15361, which can be factored:
 * it is a power of 65537 modulo every small prime.
 *
 * @see Nemec et al., The Return of Coppersmith's Attack (ACM CCS 2017), §2.2
 */
export function hasRocaFingerprint(modulus: Uint8Array): boolean {
  const number = BigInt(`0x${Buffer.from(modulus).toString('hex')}`);
  return FINGERPRINT.every(({ prime, powers }) => powers.has(Number(number % prime)));
}
