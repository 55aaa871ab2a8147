import type { ClockInfo } from '../tpm/attest.ts';
import { readAlgorithmNames, readCurveNames, readTimeInfo } from '../tpm/capabilities.ts';
import type { PcrSelection } from '../tpm/pcr-selection.ts';
import type { TpmDevice } from './device.ts';
import { FIXED_PROPERTIES, PT_MANUFACTURER, type TpmProperties, toProperties } from './tpm-properties.ts';

/** TPM_PT: Part 2, §6.13. */
const FIXED = { family: 0x100, level: 0x101, revision: 0x102 } as const;
const VARIABLE = {
  first: 0x200,
  permanent: 0x200,
  lockoutCounter: 0x20e,
  maxAuthFail: 0x20f,
  lockoutInterval: 0x210,
  lockoutRecovery: 0x211,
  count: 64,
} as const;
/** Bits of TPMA_PERMANENT: Part 2, §8.6. */
const PERMANENT = { ownerAuthSet: 0, endorsementAuthSet: 1, lockoutAuthSet: 2, disableClear: 8, inLockout: 9 } as const;

/** What a TPM says of itself: nobody vouches for it. */
export interface TpmFacts extends TpmProperties {
  /** As EK certificates write it, such as `id:494E5443`. */
  readonly manufacturerId: string;
  /** Of the TPM 2.0 library specification, such as `2.0`, 0 and `1.59`. */
  readonly specification: { readonly family: string; readonly level: number; readonly revision: string };
  readonly banks: readonly PcrSelection[];
  readonly algorithms: readonly string[];
  readonly curves: readonly string[];
  readonly clock: ClockInfo;
  /** Dictionary attack protection: Part 1, §19.8. */
  readonly lockout: {
    readonly isLocked: boolean;
    readonly failures: number;
    readonly maxFailures: number;
    /** After which one failure is forgotten. */
    readonly intervalSeconds: number;
    readonly recoverySeconds: number;
  };
  /** Whether hierarchies have an authorization. */
  readonly authorizations: { readonly owner: boolean; readonly endorsement: boolean; readonly lockout: boolean };
}

/** @throws SpiffeError `TPM_UNAVAILABLE`, `TPM_DATA_INVALID` */
export async function readTpmFacts(tpm: TpmDevice): Promise<TpmFacts> {
  const fixed = await tpm.readPropertyRange(FIXED_PROPERTIES.first, FIXED_PROPERTIES.count);
  const variable = await tpm.readPropertyRange(VARIABLE.first, VARIABLE.count);
  const permanent = variable.get(VARIABLE.permanent) ?? 0;
  const has = (name: keyof typeof PERMANENT) => ((permanent >>> PERMANENT[name]) & 1) === 1;
  return {
    ...toProperties(fixed),
    manufacturerId: `id:${hexOf(fixed.get(PT_MANUFACTURER))}`,
    specification: {
      family: Buffer.from(hexOf(fixed.get(FIXED.family)), 'hex')
        .toString('latin1')
        .replace(/\0+$/, ''),
      level: fixed.get(FIXED.level) ?? 0,
      revision: ((fixed.get(FIXED.revision) ?? 0) / 100).toFixed(2),
    },
    banks: await tpm.readPcrBanks(),
    algorithms: readAlgorithmNames(await tpm.readAlgorithms()),
    curves: readCurveNames(await tpm.readCurves()),
    clock: readTimeInfo(await tpm.readClock()),
    lockout: {
      isLocked: has('inLockout'),
      failures: variable.get(VARIABLE.lockoutCounter) ?? 0,
      maxFailures: variable.get(VARIABLE.maxAuthFail) ?? 0,
      intervalSeconds: variable.get(VARIABLE.lockoutInterval) ?? 0,
      recoverySeconds: variable.get(VARIABLE.lockoutRecovery) ?? 0,
    },
    authorizations: {
      owner: has('ownerAuthSet'),
      endorsement: has('endorsementAuthSet'),
      lockout: has('lockoutAuthSet'),
    },
  };
}

const hexOf = (value = 0) => (value >>> 0).toString(16).toUpperCase().padStart(8, '0');
