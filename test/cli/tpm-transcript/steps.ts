/** One command of the transcript, with what is said before it. */
export interface TpmStep {
  readonly says?: string;
  readonly args: readonly string[];
  /** Its first lines alone are shown. */
  readonly lines?: number;
  /** Before the command: replaces a text in a file. */
  readonly edit?: { readonly file: string; readonly from: string; readonly to: string };
}

export interface TpmSection {
  readonly title: string;
  readonly says?: string;
  readonly steps: readonly TpmStep[];
}

const tpm = (...args: string[]): TpmStep => ({ args: ['tpm', ...args] });
const LOGS = ['-eventLog', 'boot.log', '-imaLog', 'ima.log'];
const NONCE = ['-nonce', '00112233445566778899aabbccddeeff'];

export const TPM_SECTIONS: readonly TpmSection[] = [
  {
    title: 'What a TPM says of itself',
    says: 'Without `-device`, the TPM is that of `$ASSAYER_TPM_DEVICE`, or `device:/dev/tpmrm0`. All that `info` says is the TPM’s own word.',
    steps: [tpm('info')],
  },
  {
    title: 'Whose TPM it is',
    says:
      'The hash is what `hash_path` of the server takes. With `-caPath` (makers of hardware), `-virtualCaPath`, `-hashPath`, `-revokedPath` and `-crlPath`, which are the settings of the\n' +
      'server’s attestor ([plugins/tpm.md](plugins/tpm.md)), the key is judged as the server would; the exit code is 1 where it is not trusted, with the number of the check.',
    steps: [tpm('ek', '-virtualCaPath', 'ca.pem'), tpm('ek', '-caPath', 'other.pem')],
  },
  {
    title: 'PCRs',
    says: 'Lines of bank, index and value: what `-pcrs` of `tpm eventlog` and `tpm ima` takes ([event-log.md](event-log.md)). `-banks` picks some, `-output json` is an object a bank.',
    steps: [{ ...tpm('pcrs', '-banks', 'sha256'), lines: 8 }],
  },
  {
    title: 'Evidence',
    says:
      '`quote` makes an attestation key, quotes PCR 0 to 15 in every bank from SHA-256 on, and writes a file with all that a server judges: keys, certificates, quotes, PCR values, event log,\n' +
      'IMA log, command line. For a TPM of this machine the logs are the kernel’s; here they are named. A nonce is made where none is given.',
    steps: [
      tpm('quote', ...NONCE, ...LOGS, '-write', 'evidence.json'),
      {
        ...tpm('verify', 'evidence.json', ...NONCE, '-virtualCaPath', 'ca.pem'),
        says: 'What the file proves. The exit code is 0 only if everything holds that was asked for.',
      },
      {
        ...tpm('verify', 'evidence.json', '-nonce', 'ffeeddccbbaa99887766554433221100', '-bank', 'sha384'),
        says: 'Another nonce than the one that was asked for, as in an old file:',
      },
    ],
  },
  {
    title: 'Policies',
    says:
      'A policy says what a machine has to have booted: [measured-boot.md](measured-boot.md) has its rules. `learn` drafts one that some machines meet, from their evidence. Read it before you use it: it allows\n' +
      'what these machines booted, good or bad.',
    steps: [
      tpm('policy', 'learn', 'evidence.json', '-name', 'web', '-write', 'policy.json'),
      { ...tpm('verify', 'evidence.json', '-policy', 'policy.json'), lines: 10 },
      {
        ...tpm('policy', 'diff', 'policy.json', 'evidence.json'),
        says: 'A policy for another command line, and why this machine does not meet it: each rule, the event that it fails on, what was wanted and what was found.',
        edit: { file: 'policy.json', from: 'console=ttyS0', to: 'console=tty0' },
      },
      {
        ...tpm('policy', 'keygen', '-write', 'policy.key'),
        says: 'The server takes policies from a file with `policy_path` only if it is signed: with such a key, or one on P-256, P-384 or P-521, or by `openssl pkeyutl -sign -rawin` into `policy.json.sig`.',
      },
      tpm('policy', 'sign', '-key', 'policy.key', 'policy.json', '-write', 'signed.json'),
      {
        ...tpm('policy', 'diff', 'signed.json', 'evidence.json', '-policyKey', 'other.pub'),
        says: 'Nothing of a signed file is read before its signature holds.',
      },
    ],
  },
];
