/**
 * Checks that are no condition at one place: what holds instead, and the test that shows it. D and E (event log, IMA) are
 * not part of this verifier yet.
 *
 * @type {Readonly<Record<string, { readonly why: string, readonly file: string, readonly test: string }>>}
 */
export const COVERED_OTHERWISE = {
  A9: {
    why: 'nothing is fetched: intermediates and CRLs are files',
    file: 'test/plugins/tpm-server.test.ts',
    test: 'A9: nothing that verifies a TPM reaches for the network',
  },
  F44: {
    why: 'selectors are made from what was verified, and say how good it was',
    file: 'test/plugins/tpm-server.test.ts',
    test: 'an unauthenticated certificate beside an enrolled hash gives no selector (F44)',
  },
};

/** The numbers of the verifier's rules that are in force: endorsement key, activation, quote, protocol. */
export const REQUIRED_CHECKS = [
  ...numbered('A', 1, 11),
  ...numbered('B', 12, 17),
  ...numbered('C', 18, 24),
  ...numbered('F', 42, 44),
];

/**
 * @param {string} letter
 * @param {number} first
 * @param {number} last
 */
function numbered(letter, first, last) {
  return Array.from({ length: last - first + 1 }, (_, index) => `${letter}${first + index}`);
}
