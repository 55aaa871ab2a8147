import { TpmDevice } from '../../../tpm-device/device.ts';
import { readTpmFacts, type TpmFacts } from '../../../tpm-device/tpm-facts.ts';
import { SOFTWARE_TPM_MANUFACTURERS } from '../../../tpm-trust/software-tpm-manufacturers.ts';
import { defineCommand } from '../../command.ts';
import { formatField, formatIndices, outputFlag } from '../../output.ts';
import { deviceFlag, deviceOf } from '../../tpm-device-flag.ts';

const WIDTH = 14;

export const tpmInfo = defineCommand({
  summary: 'Show what a TPM says of itself: maker, firmware, banks, algorithms, counters',
  flags: { device: deviceFlag, output: outputFlag },
  run: async ({ device, output }, terminal) => {
    const tcti = deviceOf(device, terminal);
    await using tpm = await TpmDevice.open(tcti);
    const facts = await readTpmFacts(tpm);
    terminal.print(output === 'json' ? toJson(tcti, facts) : format(tcti, facts));
  },
});

function format(tcti: string, facts: TpmFacts): string {
  const { specification, banks, clock, lockout, authorizations } = facts;
  const set = Object.entries(authorizations).flatMap(([name, isSet]) => (isSet ? [name] : []));
  const rows = [
    ['Device', tcti],
    ['Manufacturer', `${facts.manufacturer} (${facts.manufacturerId})`],
    ['Model', facts.vendorString],
    ['Firmware', facts.firmwareVersion],
    ['Specification', `TPM ${specification.family}, level ${specification.level}, revision ${specification.revision}`],
    ['Kind', isVirtual(facts) ? VIRTUAL : BY_ITS_OWN_WORD],
    ['PCR banks', banks.map(({ bank, indices }) => `${bank} (${formatIndices(indices)})`).join(', ')],
    ['Algorithms', facts.algorithms.join(', ')],
    ['Curves', facts.curves.join(', ')],
    ['Clock', `${clock.clock} ms${clock.safe ? '' : ', not safe: power was lost without a word'}`],
    ['Resets', `${clock.resetCount}, and ${clock.restartCount} restarts since the last`],
    ['Lockout', `${lockout.isLocked ? 'locked, ' : ''}${lockout.failures} of ${lockout.maxFailures} failures`],
    ['Passwords', set.length === 0 ? 'none' : set.join(', ')],
  ] as const;
  return rows.map(([name, value]) => formatField(name, value, WIDTH)).join('');
}

const VIRTUAL = 'virtual: this maker makes software TPMs';
const BY_ITS_OWN_WORD = 'hardware by its own word: "assayer tpm ek -caPath" tells whether its maker says so';

function isVirtual({ manufacturerId }: TpmFacts): boolean {
  return SOFTWARE_TPM_MANUFACTURERS.includes(manufacturerId);
}

function toJson(tcti: string, facts: TpmFacts): string {
  const { clock } = facts;
  const json = {
    device: tcti,
    ...facts,
    kind: isVirtual(facts) ? 'virtual' : 'unknown',
    clock: { ...clock, clock: Number(clock.clock) },
  };
  return `${JSON.stringify(json)}\n`;
}
