import { requireEndorsementKey } from '../../../tpm/endorsement-key.ts';
import { TpmDevice } from '../../../tpm-device/device.ts';
import { loadEndorsementKey } from '../../../tpm-device/endorsement.ts';
import { defineCommand } from '../../command.ts';
import { ekTrustFlags, readEkTrustFlags } from '../../ek-trust-flags.ts';
import { type ExaminedEk, examineEk } from '../../examine-ek.ts';
import { oneOf } from '../../flag-kinds.ts';
import { formatEk, toEkJson } from '../../format-ek.ts';
import { outputFlag } from '../../output.ts';
import { requireNoProblems } from '../../problems.ts';
import { deviceFlag, deviceOf } from '../../tpm-device-flag.ts';

export const tpmEk = defineCommand({
  summary: 'Show the endorsement key of a TPM: its hash to enrol, its certificates, and whether they are good',
  flags: {
    device: deviceFlag,
    output: outputFlag,
    ek: oneOf('Which key: the first that has a certificate, or one of an algorithm', [
      'auto',
      'rsa-2048',
      'ec-p256',
      'ec-p384',
    ]),
    ...ekTrustFlags,
  },
  run: async ({ device, output, ek: algorithm, ...trustFlags }, terminal) => {
    const trust = await readEkTrustFlags(trustFlags);
    const found = await readEk(deviceOf(device, terminal), algorithm);
    const examined: ExaminedEk = examineEk(found, trust, new Date());
    terminal.print(output === 'json' ? toEkJson(examined) : formatEk(examined));
    requireNoProblems('the endorsement key', examined.problems);
  },
});

async function readEk(tcti: string, algorithm: Parameters<typeof loadEndorsementKey>[1]) {
  await using tpm = await TpmDevice.open(tcti);
  const { key, certificates } = await loadEndorsementKey(tpm, algorithm);
  await using _key = key;
  return { ek: requireEndorsementKey(key.publicBytes), certificates };
}
