import { requireCheck } from '../../x509/require-check.ts';
import { LogReader } from '../log-reader.ts';
import { EVENT_TYPE, eventTypeName } from './event-types.ts';
import type { JudgedEvent } from './judge-events.ts';
import type { LogEvent } from './parse-event-log.ts';
import { parseSignatureLists, SIGNATURE_OWNER_BYTES, type SignatureEntry } from './signature-list.ts';
import { parseUefiVariable, readGuid, type UefiVariable } from './uefi-variable.ts';

/** What PCR 7 proves of how images were verified. */
export interface SecureBoot {
  readonly isEnabled: boolean;
  readonly db: readonly SignatureEntry[];
  readonly dbx: readonly SignatureEntry[];
  /** By what the images that ran were verified, in order. */
  readonly authorities: readonly SecureBootAuthority[];
  /** What the firmware says besides, such as `UEFI Debug Mode`. */
  readonly actions: readonly string[];
  /** The list `dbx` as it was measured. */
  readonly dbxData: Uint8Array;
  /** Where that is said: the variables `SecureBoot` and `dbx`, and each of `actions`. */
  readonly events: { readonly state: LogEvent; readonly dbx: LogEvent; readonly actions: readonly LogEvent[] };
}

export interface SecureBootAuthority {
  /** `db`: an entry of the firmware's database. `shim`: of the boot loader's own, or of the machine owner's. */
  readonly from: 'db' | 'shim';
  /** Of the variable, such as `db` or `MokListRT`. */
  readonly name: string;
  /** A certificate in DER, or the hash of an image; of shim also what else it goes by, such as `SbatLevel`. */
  readonly data: Uint8Array;
  /** GUID of who put it there; undefined where shim's data has none. */
  readonly owner: string | undefined;
  readonly event: LogEvent;
}

interface MeasuredVariable extends UefiVariable {
  readonly event: LogEvent;
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
/** Of devices that answer by SPDM: says nothing of images. */
const DEVICE_TYPES: ReadonlySet<number> = new Set([
  EVENT_TYPE.EV_EFI_SPDM_DEVICE_POLICY,
  EVENT_TYPE.EV_EFI_SPDM_DEVICE_AUTHORITY,
]);
const DEVICE_VARIABLE = 'devdb';
const TYPES: ReadonlySet<number> = new Set([
  EVENT_TYPE.EV_SEPARATOR,
  EVENT_TYPE.EV_EFI_VARIABLE_DRIVER_CONFIG,
  EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY,
  EVENT_TYPE.EV_EFI_ACTION,
  ...DEVICE_TYPES,
]);

/**
 * Reads what a log says of Secure Boot, from the events of PCR 7 alone.
 *
 * @param events of a log whose replay gave PCR 7
 * @throws SpiffeError `ATTESTATION_DENIED` (D26, D31, D32)
 * @see TCG PC Client Platform Firmware Profile 1.06, §3.3.4.8
 */
export function readSecureBoot(events: readonly JudgedEvent[]): SecureBoot {
  const policy = new Map<string, MeasuredVariable>();
  const verified: MeasuredVariable[] = [];
  const actions: LogEvent[] = [];
  let isSeparated = false;
  for (const { event, isAuthenticated } of events) {
    const { number, pcr, type, data } = event;
    if (pcr !== SECURE_BOOT_PCR || type === EVENT_TYPE.EV_NO_ACTION) continue;
    requireCheck(
      'D31',
      TYPES.has(type),
      `event ${number} of PCR 7 is an ${eventTypeName(type)}, which is not for there`,
    );
    if (type === EVENT_TYPE.EV_SEPARATOR) {
      isSeparated = true;
      continue;
    }
    // A type is anybody's word: what cannot be read as its type says could be an authority that is to be overlooked.
    requireCheck('D31', isAuthenticated, `event ${number} of PCR 7 has a variable that was not measured`);
    if (type === EVENT_TYPE.EV_EFI_ACTION) {
      requireCheck('D31', isText(data), `event ${number} of PCR 7 is called an action, and its data is no text`);
      actions.push(event);
      continue;
    }
    const variable = { ...parseUefiVariable(data), event };
    if (DEVICE_TYPES.has(type)) requireDevice(variable);
    else if (type === EVENT_TYPE.EV_EFI_VARIABLE_DRIVER_CONFIG) takePolicy(policy, variable, isSeparated);
    else verified.push(variable);
  }
  requireCheck('D31', isSeparated, 'PCR 7 has no separator');
  const missing = [...POLICY.keys()].filter((name) => !policy.has(name));
  const [state, db, dbx] = ['SecureBoot', 'db', 'dbx'].map((name) => policy.get(name));
  requireCheck(
    'D31',
    missing.length === 0 && state !== undefined && db !== undefined && dbx !== undefined,
    `PCR 7 has nothing of ${missing.join(', ')}`,
  );
  const [value, ...more] = state.data;
  requireCheck('D31', (value === 0 || value === 1) && more.length === 0, 'the variable SecureBoot is neither 0 nor 1');
  const trusted = parseSignatureLists(db.data, 'db');
  return {
    isEnabled: value === 1,
    db: trusted,
    dbx: parseSignatureLists(dbx.data, 'dbx'),
    authorities: verified.map((variable) => toAuthority(variable, trusted)),
    actions: actions.map(({ data }) => Buffer.from(data).toString('latin1')),
    dbxData: dbx.data,
    events: { state: state.event, dbx: dbx.event, actions },
  };
}

/** Without a control character, in ASCII. */
export const isText = (data: Uint8Array): boolean => data.every((byte) => byte >= 0x20 && byte < 0x7f);

function requireDevice({ name, event: { number } }: MeasuredVariable): void {
  requireCheck('D31', name === DEVICE_VARIABLE, `event ${number} of PCR 7 is of devices, and has the variable ${name}`);
}

function takePolicy(policy: Map<string, MeasuredVariable>, variable: MeasuredVariable, isSeparated: boolean): void {
  const {
    name,
    guid,
    event: { number },
  } = variable;
  requireCheck('D31', !isSeparated, `event ${number} has the variable ${name} behind the separator`);
  const wanted = POLICY.get(name);
  if (wanted === undefined) return; // others, such as dbt, say nothing here
  requireCheck('D31', guid === wanted, `event ${number} has a variable ${name} of ${guid}, not of ${wanted}`);
  requireCheck('D31', !policy.has(name), `event ${number} has the variable ${name} a second time`);
  policy.set(name, variable);
}

/** The firmware goes by an entry of `db`, which it has measured; shim goes by its own. */
function toAuthority(
  { guid, name, data, event }: MeasuredVariable,
  db: readonly SignatureEntry[],
): SecureBootAuthority {
  const owner = data.length > SIGNATURE_OWNER_BYTES ? readGuid(new LogReader(data, 'a signature')) : undefined;
  if (guid === SHIM_GUID) return { from: 'shim', name, data, owner: owner === SHIM_GUID ? owner : undefined, event };
  const signature = data.subarray(SIGNATURE_OWNER_BYTES);
  requireCheck(
    'D31',
    guid === DATABASE_GUID && name === 'db' && db.some((entry) => Buffer.compare(entry.data, signature) === 0),
    `an image was verified by an entry of ${name} that the measured db has not`,
  );
  return { from: 'db', name, data: signature, owner, event };
}
