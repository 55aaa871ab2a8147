import {
  CAPABILITIES,
  type SandboxConfig,
  type SandboxManifest,
  type SandboxNetwork,
} from '../../config/sandbox-config.ts';
import { SpiffeError } from '../../spiffe/error.ts';

/** What a plugin that sees a part of the file system sees of it. */
export interface VisiblePlaces {
  readonly readable: readonly string[];
  readonly writable: readonly string[];
  readonly devices: readonly string[];
}

/** Everything that is to hold for one plugin, once its manifest and its configuration are put together. */
export interface SandboxPolicy {
  readonly required: boolean;
  readonly ownUser: boolean;
  /** Undefined where it sees all that its user may see. */
  readonly places: VisiblePlaces | undefined;
  /** Of those that it reads: what is shown with no right to read what not everybody may. */
  readonly plainlyReadable: readonly string[];
  /** Folders to be made before they are shown. */
  readonly filledByOthers: readonly string[];
  readonly allProcesses: boolean;
  readonly network: SandboxNetwork;
  /** Numbers; undefined where it keeps the host's. */
  readonly capabilities: readonly number[] | undefined;
  readonly denySystemCalls: boolean;
  readonly files: number;
  readonly processes: number;
  readonly memoryBytes: number;
  /** From 1 to 100, which is the host's own. */
  readonly cpuWeight: number;
  /** Names of variables beyond the contract's. */
  readonly variables: readonly string[];
}

const LIMITS = { files: 4_096, processes: 256, memoryBytes: 1024 ** 3 };
/** For plugins of others, of which nothing is known: enough for any, an end to what never ends. */
export const WIDE_LIMITS = { files: 65_536, processes: 4_096, memoryBytes: 4 * 1024 ** 3 };
/** The host's own: a plugin with less may be too late for its deadlines where the machine is busy. */
const FULL_WEIGHT = 100;

/**
 * Without a manifest a plugin keeps what SPIRE gives it, but for what cannot break it; each key of its block `sandbox`
 * takes something away. With one it has what it says and nothing else, and keys add to it.
 *
 * @param isOfOthers the manifest is a plugin author's: what the block takes away it does not give back.
 */
export function toPolicy(
  manifest: SandboxManifest | undefined,
  config: SandboxConfig | undefined,
  isOfOthers = false,
): SandboxPolicy {
  const limits = manifest === undefined ? WIDE_LIMITS : LIMITS;
  const both = (key: 'readable' | 'writable' | 'devices') => [...(manifest?.[key] ?? []), ...(config?.[key] ?? [])];
  const narrows = manifest !== undefined || narrowsFiles(config);
  const isHeldDown = isOfOthers && config?.user === 'own';
  const needed = isHeldDown ? [] : manifest?.capabilities;
  const capabilities = config?.capabilities ?? (manifest === undefined ? undefined : (needed ?? []));
  const network = config?.network ?? manifest?.network ?? 'all';
  const ownUser = (config?.user ?? manifest?.user ?? 'host') === 'own';
  const seesAll = manifest?.allProcesses ?? !narrows;
  return {
    required: config?.required ?? false,
    ownUser,
    places: narrows ? { readable: both('readable'), writable: both('writable'), devices: both('devices') } : undefined,
    plainlyReadable: isHeldDown ? (manifest?.readable ?? []).filter((path) => !config.readable?.includes(path)) : [],
    filledByOthers: manifest?.filledByOthers ?? [],
    allProcesses: seesAll && !(isOfOthers && narrowsFiles(config)),
    network,
    capabilities: capabilities?.map(numberOf) ?? (ownUser ? [] : undefined),
    denySystemCalls: narrows || ownUser || network !== 'all' || capabilities !== undefined,
    files: config?.files ?? manifest?.files ?? limits.files,
    processes: config?.processes ?? manifest?.processes ?? limits.processes,
    memoryBytes: config?.memoryBytes ?? manifest?.memoryBytes ?? limits.memoryBytes,
    cpuWeight: config?.cpuWeight ?? FULL_WEIGHT,
    variables: [...(manifest?.variables ?? []), ...(config?.env ?? [])],
  };
}

export function numberOf(capability: string): number {
  const number = CAPABILITIES.indexOf(capability);
  if (number < 0) throw new SpiffeError('CONFIG_INVALID', `there is no capability "${capability}"`);
  return number;
}

function narrowsFiles(config: SandboxConfig | undefined): boolean {
  return [config?.readable, config?.writable, config?.devices].some((list) => list !== undefined);
}
