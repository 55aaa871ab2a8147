import { lstat, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { findBuilt } from '../../addon/find-built.ts';
import { CAPABILITIES, type SandboxManifest } from '../../config/sandbox-config.ts';
import type { Logger } from '../../log/logger.ts';
import { statusField } from '../../rpc/process-fields.ts';
import { messageOf, SpiffeError } from '../../spiffe/error.ts';
import { quoteText } from '../../spiffe/quote-text.ts';
import { readPluginData } from '../configure.ts';
import type { PluginSpec } from '../plugin-spec.ts';
import type { SocketFolder } from '../socket-folder.ts';
import { ControlGroup } from './control-group.ts';
import { allVariables, handedOnVariables } from './environment.ts';
import { type LaunchPlan, MEASURES, type Measure, planLaunch } from './launch-plan.ts';
import type { LaunchFailure } from './launch-report.ts';
import { readManifestFile } from './manifest-file.ts';
import { followOwnWay } from './own-way.ts';
import { giveFolder, reasonNotToOwn } from './ownership.ts';
import { inOrder, isReadableByAll, makeFolder, type Place, placeAt, systemPlaces, topmost } from './places.ts';
import { PluginUsers } from './plugin-users.ts';
import { numberOf, type SandboxPolicy, toPolicy } from './policy.ts';

/** How to start one plugin. */
export interface Launch {
  /** Undefined where it is started without a sandbox. */
  readonly launcher: { readonly command: string; readonly args: readonly string[] } | undefined;
  /** As the plugin's package says. */
  readonly version: string | undefined;
  /** Of the host's variables. */
  readonly variables: Readonly<Record<string, string>>;
  /** User and group that the plugin runs as; undefined for the host's. */
  readonly userId: number | undefined;
  readonly measures: readonly Measure[];
  readonly controlGroups: readonly ControlGroup[];
}

/** What a process needs to give a folder to another user and still use it. */
const RIGHTS_OVER_USERS = ['CHOWN', 'DAC_OVERRIDE', 'SETGID', 'SETUID'].map(numberOf);
const READ_ALL = numberOf('DAC_READ_SEARCH');
/** A mount that fails there would fail for every plugin. */
const OF_EVERY_PLUGIN = new Set(['', '/', '/proc', 'the root', 'the kernel has it not, or it is not switched on']);

/** Confines the plugins of one program, as well as this host can. */
export class Sandbox {
  readonly #launcher = findBuilt('sandbox');
  readonly #users: PluginUsers;
  readonly #dataDir: string | undefined;
  readonly #log: Logger;
  /** Why a measure is not possible; a key is a measure, of one plugin or of all. */
  readonly #impossible = new Map<string, string>();
  #system: Promise<readonly Place[]> | undefined;
  #capabilities: Promise<readonly number[]> | undefined;

  /** @param options.dataDir keeps the users of plugins; it is shared by all of the program. */
  constructor(options: { readonly dataDir: string | undefined; readonly log: Logger }) {
    this.#dataDir = options.dataDir;
    this.#log = options.log;
    this.#users = new PluginUsers(options.dataDir && join(options.dataDir, 'plugin-users.json'));
  }

  /** @throws SpiffeError `PLUGIN_NOT_LOADED` where a measure is required that is not possible. */
  async prepare(spec: PluginSpec, folder: SocketFolder): Promise<Launch> {
    const { manifest, version } = await readManifest(spec);
    const policy = toPolicy(manifest, spec.sandbox, spec.manifest === undefined);
    const isOff = spec.sandbox?.enabled === false;
    if (this.#launcher === undefined && !isOff) this.#miss('launcher', 'it is not built, run "npm run setup"', policy);
    if (this.#launcher === undefined || isOff) {
      const launcher = this.#launcher === undefined ? undefined : { command: this.#launcher, args: [] };
      return {
        launcher,
        version,
        variables: isOff ? allVariables() : handedOnVariables(policy.variables),
        userId: undefined,
        measures: [],
        controlGroups: [],
      };
    }
    await this.#requireToHandOn(spec, policy);
    for (;;) {
      const own = await this.#ownUser(spec, policy);
      const places = await this.#places(spec, policy, folder);
      for (const { kind, source } of places) if (kind === 'writable') await this.#give(source, own);
      await folder.giveTo(own);
      const controlGroups = isRoot() ? await this.#controlGroups(spec, policy, folder, own) : [];
      const plan = await this.#plan(spec, policy, folder, { userId: own, places, controlGroups });
      // Meanwhile the start of another plugin may have told what is not possible.
      if (own !== undefined && !(plan.measures.includes('user') && hasItsFiles(policy, plan))) {
        await Promise.all(controlGroups.map((group) => group.remove()));
        continue;
      }
      return {
        launcher: { command: this.#launcher, args: plan.args },
        version,
        variables: handedOnVariables(policy.variables),
        userId: own,
        measures: plan.measures,
        controlGroups,
      };
    }
  }

  /**
   * Takes note that a measure is not possible, for the next {@link prepare}.
   *
   * @throws SpiffeError `PLUGIN_NOT_LOADED` where the plugin does not start for another reason, or requires the measure.
   */
  withdraw(spec: PluginSpec, failure: LaunchFailure): void {
    const measure = MEASURES.find((known) => known === failure.measure);
    if (failure.isReplacement) {
      const message = `cannot start it: ${quoteText(failure.detail)} was replaced again and again while it was shown to the plugin (${failure.reason}): start it once that is over, and let only root write there and to the folders above`;
      throw new SpiffeError('PLUGIN_NOT_LOADED', message, { cause: failure });
    }
    if (measure === undefined) {
      const message = `cannot start it: ${failure.message}${hintAt(failure, spec)}`;
      throw new SpiffeError('PLUGIN_NOT_LOADED', message, { cause: failure });
    }
    const isGeneral = OF_EVERY_PLUGIN.has(failure.detail) || !['mounts', 'landlock', 'control-group'].includes(measure);
    const reason = failure.detail === '' ? failure.reason : `${failure.detail}: ${failure.reason}`;
    this.#miss(isGeneral ? measure : keyOf(measure, spec), reason, toPolicy(undefined, spec.sandbox), measure);
  }

  async #plan(
    spec: PluginSpec,
    policy: SandboxPolicy,
    folder: SocketFolder,
    { userId, places, controlGroups }: Pick<Launch, 'userId' | 'controlGroups'> & { readonly places: readonly Place[] },
  ): Promise<LaunchPlan> {
    this.#capabilities ??= readOwnCapabilities();
    const plain = [folder.path, ...policy.plainlyReadable];
    const read = places.filter(({ kind, path }) => kind === 'read-only' && !plain.includes(path));
    const isReadable = (await Promise.all(read.map(isReadableByAll))).every(Boolean);
    const needed = userId === undefined || isReadable ? [] : [READ_ALL]; // the places are all that it can read by it
    const capabilities = policy.capabilities && [...new Set([...policy.capabilities, ...needed])];
    return planLaunch(
      { ...policy, capabilities },
      {
        isRoot: isRoot(),
        userId,
        places,
        folder: process.cwd(),
        ownCapabilities: await this.#capabilities,
        controlGroups: controlGroups.map(({ entrance }) => entrance),
        isImpossible: (measure) => this.#isImpossible(measure, spec, policy),
      },
    );
  }

  /** As root without a capability that it asks for, a plugin does better with all that this program has. */
  async #requireToHandOn(spec: PluginSpec, policy: SandboxPolicy): Promise<void> {
    this.#capabilities ??= readOwnCapabilities();
    const own = await this.#capabilities;
    const missing = isRoot() ? (policy.capabilities ?? []).filter((number) => !own.includes(number)) : [];
    if (missing.length === 0) return;
    const names = missing.map((number) => `CAP_${CAPABILITIES[number]}`).join(', ');
    this.#miss(keyOf('capabilities', spec), `this program has no ${names} to hand on`, policy, 'capabilities');
    this.#impossible.set(keyOf('user', spec), `it needs ${names}`);
  }

  async #ownUser(spec: PluginSpec, policy: SandboxPolicy): Promise<number | undefined> {
    if (!policy.ownUser || this.#isImpossible('user', spec, policy)) return undefined;
    const miss = (reason: string, key = 'user') => {
      this.#miss(key, reason, policy, 'user');
      return undefined;
    };
    if (!isRoot()) return miss('this program does not run as root');
    this.#capabilities ??= readOwnCapabilities();
    const capabilities = await this.#capabilities;
    if (!RIGHTS_OVER_USERS.every((right) => capabilities.includes(right))) {
      return miss('CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_SETGID and CAP_SETUID are needed');
    }
    if (policy.places !== undefined && this.#isImpossible('mounts', spec, policy)) return undefined; // it could not reach its files
    const userId = await this.#users.findId(`${spec.side} ${spec.type} ${spec.name}`);
    if (userId === undefined) return miss('this container has no user IDs to spare');
    const writable = topmost(policy.places?.writable ?? []);
    if (writable.length > 0 && this.#dataDir === undefined) {
      return miss('its folder would have another owner at every start', keyOf('user', spec));
    }
    for (const path of writable) {
      await this.#makeFolder(path);
      const reason = await reasonNotToOwn(path, { userId, dataDir: this.#dataDir });
      if (reason !== undefined) return miss(reason, keyOf('user', spec));
    }
    return userId;
  }

  /**
   * Weighs a plugin with all that it starts, which a priority does one by one; counts what runs as root, which the limit of a
   * user does not bind.
   */
  async #controlGroups(
    spec: PluginSpec,
    policy: SandboxPolicy,
    folder: SocketFolder,
    userId: number | undefined,
  ): Promise<readonly ControlGroup[]> {
    if (this.#isImpossible('control-group', spec, policy)) return [];
    const name = basename(folder.path);
    const groups: ControlGroup[] = [];
    const { processes, cpuWeight: weight } = policy;
    if (spec.manifest === undefined || weight < 100) {
      // Without it the priority of each process has to do.
      const group = await ControlGroup.create(name, { controller: 'cpu', weight }).catch(() => undefined);
      if (group !== undefined) groups.push(group);
    }
    if (userId !== undefined) return groups;
    try {
      return [...groups, await ControlGroup.create(name, { controller: 'pids', processes })];
    } catch (error) {
      this.#miss('control-group', messageOf(error), policy);
      return groups;
    }
  }

  async #places(spec: PluginSpec, policy: SandboxPolicy, folder: SocketFolder): Promise<readonly Place[]> {
    if (policy.places === undefined) return [];
    const { readable, devices } = policy.places;
    const writable = topmost(policy.places.writable);
    const program = [spec.command, ...(spec.program ?? spec.args.filter((argument) => argument.startsWith('/')))];
    const isPluginUser = (userId: number) => this.#users.isPluginUser(userId);
    const follow = (path: string) => followOwnWay(path, { written: writable, isPluginUser });
    const followToWrite = (path: string) => followOwnWay(path, { written: [], isPluginUser }, true);
    await Promise.all(policy.places.writable.filter((path) => !writable.includes(path)).map(follow));
    await Promise.all([...writable, ...policy.filledByOthers].map((path) => this.#makeFolder(path)));
    this.#system ??= systemPlaces();
    const shown = await Promise.all([
      ...[...program, ...readable].map((path) => placeAt('read-only', path, follow)),
      placeAt('read-only', folder.path),
      ...writable.map((path) => placeAt('writable', path, followToWrite)),
      ...devices.map((path) => placeAt('device', path, follow)),
      placeAt('writable', folder.pluginPath),
    ]);
    return inOrder([...(await this.#system), ...shown.filter((place) => place !== undefined)]);
  }

  /** Where it is missing; not where a plugin would decide in which place. */
  async #makeFolder(path: string): Promise<void> {
    const isPluginUser = (userId: number) => this.#users.isPluginUser(userId);
    let above = path;
    while (above !== dirname(above) && (await lstat(above).catch(() => undefined)) === undefined)
      above = dirname(above);
    await followOwnWay(above, { written: [], isPluginUser }, true);
    if (above !== path && (await isPluginUser((await lstat(above)).uid))) {
      throw new SpiffeError(
        'PLUGIN_NOT_LOADED',
        `${quoteText(path)} is not there, and ${quoteText(above)} is a plugin's`,
      );
    }
    await makeFolder(path);
  }

  /** A folder of the plugin's is its user's; or the host's again, once the plugin has no user of its own any more. */
  async #give(path: string, userId: number | undefined): Promise<void> {
    const host = process.geteuid?.();
    if (!isRoot() || host === undefined) return;
    if (userId !== undefined) return await giveFolder(path, userId);
    if (await this.#users.isPluginFolder(path)) await giveFolder(path, host);
  }

  /** @throws SpiffeError `PLUGIN_NOT_LOADED` where it is, and is required. */
  #isImpossible(measure: Measure, spec: PluginSpec, policy: SandboxPolicy): boolean {
    const key = [measure, keyOf(measure, spec)].find((known) => this.#impossible.has(known));
    if (key !== undefined) this.#miss(key, this.#impossible.get(key) ?? '', policy, measure);
    return key !== undefined;
  }

  #miss(key: string, reason: string, { required }: Pick<SandboxPolicy, 'required'>, measure = key): void {
    if (!this.#impossible.has(key)) {
      this.#log.info('a measure of the plugins’ sandbox is not possible here', { measure, reason });
    }
    this.#impossible.set(key, reason);
    if (!required) return;
    throw new SpiffeError(
      'PLUGIN_NOT_LOADED',
      `its sandbox is required, and "${measure}" is not possible here: ${reason}; allow it, or set required = false`,
    );
  }
}

function hasItsFiles({ places }: SandboxPolicy, { measures }: LaunchPlan): boolean {
  return places === undefined || measures.includes('mounts');
}

function keyOf(measure: Measure, { type, name }: PluginSpec): string {
  return `${measure} ${type} ${name}`;
}

function hintAt({ reason }: LaunchFailure, { checksum }: PluginSpec): string {
  if (reason === 'ENOENT') return '; is its interpreter where it may read, in sandbox { readable }?';
  if (reason !== 'EACCES' || checksum === undefined) return '';
  return '; with plugin_checksum it runs from a copy in the temporary folder: may programs be run there, or set TMPDIR';
}

function isRoot(): boolean {
  return process.geteuid?.() === 0;
}

interface KnownNeeds {
  /** Undefined where nothing is known. */
  readonly manifest: SandboxManifest | undefined;
  readonly version: string | undefined;
}

async function readManifest(spec: PluginSpec): Promise<KnownNeeds> {
  const { builtin, data, sandbox } = spec;
  const isRead = spec.manifest === undefined && !builtin && sandbox?.enabled !== false && sandbox?.manifest !== false;
  const file = isRead ? await readManifestFile(spec) : undefined;
  const version = spec.version ?? file?.version;
  const needs = spec.manifest ?? file?.needs;
  if (needs === undefined || data === undefined) return { manifest: needs?.(''), version };
  // A file that cannot be read is reported once the plugin is to be configured with it.
  const text = await readPluginData(data).catch(() => '');
  return { manifest: needs(text), version };
}

/** Source: proc_pid_status(5), CapPrm. */
async function readOwnCapabilities(): Promise<readonly number[]> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '');
  const set = BigInt(`0x${statusField(status, 'CapPrm') ?? '0'}`);
  return Array.from({ length: 64 }, (_, number) => number).filter((number) => ((set >> BigInt(number)) & 1n) === 1n);
}
