/** A 2048-bit odd number that is a power of 65537 modulo every prime up to 167, as the keys of CVE-2017-15361 are. */
export function rocaModulus(): Uint8Array {
  const primes = Array.from({ length: 166 }, (_, index) => index + 2).filter((n) =>
    Array.from({ length: n }, (_, divisor) => divisor).every((divisor) => divisor < 2 || n % divisor !== 0),
  );
  const product = primes.reduce((all, prime) => all * BigInt(prime), 1n);
  const power = 65537n ** 5n % product;
  const number = ((0xc1n << 2040n) / product) * product + power;
  return Uint8Array.from(Buffer.from(number.toString(16), 'hex'));
}
