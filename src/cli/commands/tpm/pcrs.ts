import { SpiffeError } from '../../../spiffe/error.ts';
import { isReplayedBank } from '../../../tpm/event-log/replay.ts';
import type { PcrSelection } from '../../../tpm/pcr-selection.ts';
import { TpmDevice } from '../../../tpm-device/device.ts';
import { defineCommand } from '../../command.ts';
import { commaSeparated } from '../../flag-kinds.ts';
import { formatHex, outputFlag } from '../../output.ts';
import { deviceFlag, deviceOf } from '../../tpm-device-flag.ts';

export const tpmPcrs = defineCommand({
  summary: 'Show the PCRs of a TPM, as -pcrs of "tpm eventlog" and "tpm ima" takes them',
  flags: {
    device: deviceFlag,
    output: outputFlag,
    banks: commaSeparated('Banks to read; all that the TPM has by default', 'BANKS'),
  },
  run: async ({ device, output, banks }, terminal) => {
    await using tpm = await TpmDevice.open(deviceOf(device, terminal));
    const selected = selectBanks(await tpm.readPcrBanks(), banks);
    const values = new Map<string, readonly (readonly [index: number, hex: string])[]>();
    for (const { bank, indices } of selected) {
      const digests = await tpm.readPcrs({ bank, indices });
      values.set(
        bank,
        indices.flatMap((index, position) => {
          const digest = digests[position];
          return digest === undefined ? [] : [[index, formatHex(digest)] as const];
        }),
      );
    }
    if (output === 'json') {
      const json = [...values].map(([bank, pcrs]) => [bank, Object.fromEntries(pcrs)] as const);
      terminal.print(`${JSON.stringify(Object.fromEntries(json))}\n`);
      return;
    }
    const lines = [...values].flatMap(([bank, pcrs]) => pcrs.map(([index, hex]) => `${bank} ${index} ${hex}\n`));
    terminal.print(lines.join(''));
  },
});

/** SM3 has no place in what reads the lines. */
function selectBanks(allocated: readonly PcrSelection[], wanted: readonly string[]) {
  const known = allocated.flatMap(({ bank, indices }) => (isReplayedBank(bank) ? [{ bank, indices }] : []));
  for (const name of wanted) {
    if (known.some(({ bank }) => bank === name)) continue;
    const has = known.map(({ bank }) => bank).join(', ') || 'none';
    throw new SpiffeError(
      'ARGUMENT_INVALID',
      `-banks: this TPM has allocated no bank ${JSON.stringify(name)}, it has ${has}`,
    );
  }
  return wanted.length === 0 ? known : known.filter(({ bank }) => wanted.includes(bank));
}
