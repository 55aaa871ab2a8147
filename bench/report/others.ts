const SIGNING = { 'mint-x509': 2628, 'mint-jwt': 3640, 'batch-x509': 4763 };

/**
 * Operations a second of SPIRE 1.16-dev on two cores, SQLite, in-process memory key manager, 8 callers of a load driver in Go beside it. Another machine, or another driver, gives others: docs/performance.md says what may be compared.
 */
export const OTHERS: Readonly<Record<string, number>> = {
  'attest-join-token': 452,
  ...SIGNING,
  ...Object.fromEntries(Object.entries(SIGNING).map(([name, rate]) => [`intermediate, ${name}`, rate])),
  sync: 1827,
  'get-entries': 463,
  'create-entries': 408,
  'wl-x509': 3924,
  'wl-x509-new': 1824,
  'wl-jwt': 4012,
  'wl-jwt-new': 1926,
};
