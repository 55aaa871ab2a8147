/**
 * Checks that are no condition at one place: what holds instead, and the test that shows it.
 *
 * @type {Readonly<Record<string, { readonly why: string, readonly file: string, readonly test: string }>>}
 */
export const COVERED_OTHERWISE = {
  A9: {
    why: 'nothing is fetched: intermediates and CRLs are files',
    file: 'test/plugins/tpm-server.test.ts',
    test: 'A9: nothing that verifies a TPM reaches for the network',
  },
  D29: {
    why: 'data is believed where its digest is of it, and is a hint elsewhere',
    file: 'test/tpm/event-log.test.ts',
    test: '%s: authenticated data is what was measured',
  },
  E36: {
    why: 'a violation extends ones, and is counted',
    file: 'test/tpm/ima-log.test.ts',
    test: 'a violation extends ones whatever it says, and is counted',
  },
  F44: {
    why: 'selectors are made from what was verified, and say how good it was',
    file: 'test/plugins/tpm-server.test.ts',
    test: 'an unauthenticated certificate beside an enrolled hash gives no selector (F44)',
  },
};

/** The numbers of the verifier's rules that are in force: endorsement key, activation, quote, event log, IMA, protocol, policy. */
export const REQUIRED_CHECKS = [
  ...numbered('A', 1, 11),
  ...numbered('B', 12, 17),
  ...numbered('C', 18, 24),
  ...numbered('D', 25, 34),
  ...numbered('E', 35, 41),
  ...numbered('F', 42, 44),
  ...numbered('P', 1, 18),
  ...numbered('G', 45, 50),
  ...numbered('H', 51, 55),
];

/**
 * @param {string} letter
 * @param {number} first
 * @param {number} last
 */
function numbered(letter, first, last) {
  return Array.from({ length: last - first + 1 }, (_, index) => `${letter}${first + index}`);
}
