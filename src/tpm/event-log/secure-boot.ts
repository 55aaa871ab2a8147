import { requireCheck } from '../../x509/require-check.ts';
import { EVENT_TYPE, eventTypeName } from './event-types.ts';
import type { JudgedEvent } from './judge-events.ts';
import { parseSignatureLists, SIGNATURE_OWNER_BYTES, type SignatureEntry } from './signature-list.ts';
import { parseUefiVariable, type UefiVariable } from './uefi-variable.ts';

/** What PCR 7 proves of how images were verified. */
export interface SecureBoot {
  readonly isEnabled: boolean;
  readonly db: readonly SignatureEntry[];
  readonly dbx: readonly SignatureEntry[];
  /** By what the images that ran were verified, in order. */
  readonly authorities: readonly SecureBootAuthority[];
  /** What the firmware says besides, such as `UEFI Debug Mode`. */
  readonly actions: readonly string[];
}

export interface SecureBootAuthority {
  /** `db`: an entry of the firmware's database. `shim`: of the boot loader's own, or of the machine owner's. */
  readonly from: 'db' | 'shim';
  /** Of the variable, such as `db` or `MokListRT`. */
  readonly name: string;
  /** A certificate in DER, or the hash of an image; of shim also what else it goes by, such as `SbatLevel`. */
  readonly data: Uint8Array;
}

const SECURE_BOOT_PCR = 7;
const GLOBAL_GUID = '8be4df61-93ca-11d2-aa0d-00e098032b8c';
const DATABASE_GUID = 'd719b2cb-3d3a-4596-a3bc-dad00e67656f';
const SHIM_GUID = '605dab50-e046-4300-abb6-3dd810dd8b23';
/** Each is measured once, before the separator. */
const POLICY: ReadonlyMap<string, string> = new Map([
  ['SecureBoot', GLOBAL_GUID],
  ['PK', GLOBAL_GUID],
  ['KEK', GLOBAL_GUID],
  ['db', DATABASE_GUID],
  ['dbx', DATABASE_GUID],
]);
const TYPES: ReadonlySet<number> = new Set([
  EVENT_TYPE.EV_SEPARATOR,
  EVENT_TYPE.EV_EFI_VARIABLE_DRIVER_CONFIG,
  EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY,
  EVENT_TYPE.EV_EFI_ACTION,
  EVENT_TYPE.EV_EFI_SPDM_DEVICE_POLICY,
  EVENT_TYPE.EV_EFI_SPDM_DEVICE_AUTHORITY,
]);

/**
 * Reads what a log says of Secure Boot, from the events of PCR 7 alone.
 *
 * @param events of a log whose replay gave PCR 7
 * @throws SpiffeError `ATTESTATION_DENIED` (D26, D31, D32)
 * @see TCG PC Client Platform Firmware Profile 1.06, §3.3.4.8
 */
export function readSecureBoot(events: readonly JudgedEvent[]): SecureBoot {
  const policy = new Map<string, UefiVariable>();
  const verified: UefiVariable[] = [];
  const actions: string[] = [];
  let isSeparated = false;
  for (const { event, isAuthenticated } of events) {
    const { number, pcr, type, data } = event;
    if (pcr !== SECURE_BOOT_PCR || type === EVENT_TYPE.EV_NO_ACTION) continue;
    requireCheck(
      'D31',
      TYPES.has(type),
      `event ${number} of PCR 7 is an ${eventTypeName(type)}, which is not for there`,
    );
    if (type === EVENT_TYPE.EV_SEPARATOR) isSeparated = true;
    if (type === EVENT_TYPE.EV_EFI_ACTION && isAuthenticated) actions.push(Buffer.from(data).toString('latin1'));
    const isPolicy = type === EVENT_TYPE.EV_EFI_VARIABLE_DRIVER_CONFIG;
    if (!isPolicy && type !== EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY) continue;
    requireCheck('D31', isAuthenticated, `event ${number} of PCR 7 has a variable that was not measured`);
    const variable = parseUefiVariable(data);
    if (isPolicy) takePolicy(policy, variable, number, isSeparated);
    else verified.push(variable);
  }
  requireCheck('D31', isSeparated, 'PCR 7 has no separator');
  const of = (name: string) => policy.get(name)?.data;
  const missing = [...POLICY.keys()].filter((name) => of(name) === undefined);
  requireCheck('D31', missing.length === 0, `PCR 7 has nothing of ${missing.join(', ')}`);
  const [state, ...more] = of('SecureBoot') ?? [];
  requireCheck('D31', (state === 0 || state === 1) && more.length === 0, 'the variable SecureBoot is neither 0 nor 1');
  const db = parseSignatureLists(of('db') ?? new Uint8Array(), 'db');
  return {
    isEnabled: state === 1,
    db,
    dbx: parseSignatureLists(of('dbx') ?? new Uint8Array(), 'dbx'),
    authorities: verified.map((variable) => toAuthority(variable, db)),
    actions,
  };
}

function takePolicy(
  policy: Map<string, UefiVariable>,
  variable: UefiVariable,
  number: number,
  isSeparated: boolean,
): void {
  const { name, guid } = variable;
  const wanted = POLICY.get(name);
  if (wanted === undefined) return; // others, such as dbt, say nothing here
  requireCheck('D31', guid === wanted, `event ${number} has a variable ${name} of ${guid}, not of ${wanted}`);
  requireCheck('D31', !isSeparated, `event ${number} has the variable ${name} behind the separator`);
  requireCheck('D31', !policy.has(name), `event ${number} has the variable ${name} a second time`);
  policy.set(name, variable);
}

/** The firmware goes by an entry of `db`, which it has measured; shim goes by its own. */
function toAuthority({ guid, name, data }: UefiVariable, db: readonly SignatureEntry[]): SecureBootAuthority {
  if (guid === SHIM_GUID) return { from: 'shim', name, data };
  const signature = data.subarray(SIGNATURE_OWNER_BYTES);
  requireCheck(
    'D31',
    guid === DATABASE_GUID && name === 'db' && db.some((entry) => Buffer.compare(entry.data, signature) === 0),
    `an image was verified by an entry of ${name} that the measured db has not`,
  );
  return { from: 'db', name, data: signature };
}
