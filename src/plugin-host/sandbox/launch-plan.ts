import type { Place } from './places.ts';
import type { SandboxPolicy } from './policy.ts';

/** Steps of the launcher that may be impossible here, as it names them. */
export const MEASURES = [
  'user',
  'capabilities',
  'no-new-privileges',
  'limits',
  'control-group',
  'cpu-weight',
  'user-namespace',
  'mounts',
  'proc',
  'pid-namespace',
  'network-namespace',
  'ipc-namespace',
  'landlock',
  'system-calls',
] as const;
export type Measure = (typeof MEASURES)[number];

/** What is known of this host and this plugin at the moment of a start. */
export interface LaunchContext {
  /** Has the rights to change users and to make namespaces by itself. */
  readonly isRoot: boolean;
  /** The plugin's own user and group; undefined where it has the host's. */
  readonly userId: number | undefined;
  /** Numbers of the capabilities that this process could hand on. */
  readonly ownCapabilities: readonly number[];
  readonly places: readonly Place[];
  /** Where relative paths begin. */
  readonly folder: string;
  /** Files that a process writes to, to be counted and weighed with all that it starts. */
  readonly controlGroups: readonly string[];
  readonly isImpossible: (measure: Measure) => boolean;
}

export interface LaunchPlan {
  /** The launcher's, up to the command. */
  readonly args: readonly string[];
  /** What is in force once the plugin runs. */
  readonly measures: readonly Measure[];
}

/** Turns a policy into the launcher's command line; what is impossible here is left out, with all that depends on it. */
export function planLaunch(policy: SandboxPolicy, context: LaunchContext): LaunchPlan {
  const measures: Measure[] = [];
  const take = (measure: Measure, isWanted: boolean) => {
    const isTaken = isWanted && !context.isImpossible(measure);
    if (isTaken) measures.push(measure);
    return isTaken;
  };
  const isClosed = policy.places !== undefined;
  const ofOthers = policy.allProcesses;
  // The kernel shows a process in a user namespace little of those outside of it.
  const mayHave = context.isRoot || (wantsNamespaces(policy) && !ofOthers && take('user-namespace', true));
  const mounts = take('mounts', isClosed && mayHave);
  const pidNamespace = take('pid-namespace', isClosed && !ofOthers && mayHave);
  const ownProc = mounts && pidNamespace && take('proc', true);
  const network = take('network-namespace', policy.network === 'none' && mayHave);
  const ipc = take('ipc-namespace', isClosed && mayHave);
  const user = take('user', context.userId !== undefined);
  const capabilities = take('capabilities', policy.capabilities !== undefined);
  const noNewPrivileges = take('no-new-privileges', true);
  const landlock = noNewPrivileges && take('landlock', isClosed && !ofOthers);
  const filter = noNewPrivileges && take('system-calls', policy.denySystemCalls || policy.network !== 'all');
  const groups = take('control-group', context.controlGroups.length > 0);
  const nice = niceOf(policy.cpuWeight);
  const weight = take('cpu-weight', nice > 0);
  const countsOwn = user || mayHave !== context.isRoot; // others of that user are not counted in
  const limits = take('limits', true);
  const option = (isTaken: boolean, ...words: readonly string[]) => (isTaken ? words : []);
  const kept = (policy.capabilities ?? []).filter((number) => context.ownCapabilities.includes(number));
  return {
    measures,
    args: [
      // One byte is less than any dump has, and the one limit by which the kernel gives none to a program either: core(5).
      ...option(limits, '--limit', 'core', '1', '--limit', 'files', String(policy.files)),
      ...option(limits, '--limit', 'memory', String(policy.memoryBytes)),
      ...option(limits && countsOwn, '--limit', 'processes', String(policy.processes)),
      ...option(groups, ...context.controlGroups.flatMap((path) => ['--control-group', path])),
      ...option(weight, '--nice', String(nice)),
      ...option(measures.includes('user-namespace'), '--user-namespace'),
      ...option(pidNamespace, '--pid-namespace'),
      ...option(network, '--network-namespace'),
      ...option(ipc, '--ipc-namespace'),
      ...option(mounts, '--mounts', '--folder', context.folder),
      ...option(mounts || landlock, ...context.places.flatMap(({ kind, path, source }) => [`--${kind}`, path, source])),
      ...option(ownProc, '--proc-own'),
      ...option(mounts && ofOthers, '--proc-all'),
      ...option(landlock && !mounts, '--proc-all'),
      ...option(user, '--identity', String(context.userId), String(context.userId), '-'),
      ...option(capabilities, '--capabilities', kept.join(',') || '-'),
      ...option(noNewPrivileges, '--no-new-privileges'),
      ...option(landlock, '--landlock'),
      ...option(filter && policy.denySystemCalls, '--system-calls'),
      ...option(filter && policy.network !== 'all', '--unix-sockets-only'),
    ],
  };
}

/** Each step of nice(2) is a quarter more or less. Source: sched(7), sched_prio_to_weight. */
function niceOf(cpuWeight: number): number {
  return Math.min(Math.round(Math.log(100 / cpuWeight) / Math.log(1.25)), 19);
}

function wantsNamespaces({ places, network }: SandboxPolicy): boolean {
  return places !== undefined || network === 'none';
}
