export type { CertifyAttest, ClockInfo, QuoteAttest } from '../tpm/attest.ts';
export type { Certificate } from '../x509/certificate.ts';
export { type AuthorityOptions, EkAuthority, type EkCertificateOptions } from './ek-authority.ts';
export { FakeClock } from './fake-clock.ts';
export type { RecordedBoot } from './recorded-boot.ts';
export { type SoftHsmOptions, SoftHsmToken } from './softhsm-token.ts';
export {
  type SoftwareCertification,
  type SoftwareQuote,
  SoftwareTpm,
  type SoftwareTpmOptions,
} from './software-tpm.ts';
export { Swtpm, type SwtpmEk, type SwtpmOptions, startSwtpm } from './swtpm.ts';
export { createTemporaryFolder, type TemporaryFolder } from './temporary-folder.ts';
export { TestAuthority, TestCredential, type TestLeafOptions, type TestSvidOptions } from './test-authority.ts';
