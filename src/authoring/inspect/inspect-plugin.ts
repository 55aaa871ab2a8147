import { resolve } from 'node:path';
import { ConfigDefinition } from '../../gen/spire/service/common/config/v1/config.ts';
import { CONFIG_SERVICE_NAME, configure, readPluginData } from '../../plugin-host/configure.ts';
import { requireUsableHandshake } from '../../plugin-host/handshake-policy.ts';
import type { PluginConnection } from '../../plugin-host/plugin-connection.ts';
import { withLastWords } from '../../plugin-host/plugin-process.ts';
import { DEFAULT_DEADLINES } from '../../plugin-host/plugin-spec.ts';
import { findMemoryBytes } from '../../plugin-host/process-memory.ts';
import type { PluginSide, PluginType } from '../../rpc/go-plugin.ts';
import { isSpiffeError, messageOf } from '../../spiffe/error.ts';
import { quoteText } from '../../spiffe/quote-text.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { startWithAnyCookie } from '../trial/find-cookie.ts';
import { kindsOf, requireKinds, unusedServices } from '../trial/offered-kinds.ts';
import { GRACE_MS, Trial, type TrialOptions } from '../trial/trial.ts';
import type { AutoMtlsOutcome, Finding, Inspection, InspectionStep } from './inspection.ts';
import { hostServiceNames, offerHost } from './offer-host.ts';
import { askValidate, hasDeinit, hasHealth, hasStdio } from './probes.ts';
import { RunFailure, type RunOptions } from './run-through.ts';
import { type Exercise, suggestSandbox } from './suggest-sandbox.ts';

export interface InspectOptions {
  /** A path, also a relative one; the search path is not looked at. */
  readonly command: string;
  readonly args: readonly string[];
  readonly trustDomain: TrustDomain;
  /** A file with what `plugin_data` would have; absent, the plugin is not configured. */
  readonly configFile?: string | undefined;
  /** The program that it is for; absent, either. */
  readonly side?: PluginSide | undefined;
  readonly handshakeDeadlineMs?: number;
  /** Watches what it does, in starts of their own, and suggests a sandbox. */
  readonly suggest?: boolean;
  /** Uses the plugin while it is watched, and again under the suggestion. */
  readonly exercise?: Exercise | undefined;
}

const HANDSHAKE_ADVICE =
  'the first line on stdout has to be the handshake, 1|1|unix|<path of its socket>|grpc| and nothing before it: print to stderr';

type Found = { -readonly [Name in keyof Omit<Inspection, 'loadable'>]: Inspection[Name] } & {
  problems: Finding[];
  warnings: Finding[];
};

/** Starts a plugin as a host does, asks it what it is, and ends it. Whatever is wrong with it is in the answer. */
export async function inspectPlugin(options: InspectOptions): Promise<Inspection> {
  const command = resolve(options.command);
  const { args, handshakeDeadlineMs = DEFAULT_DEADLINES.handshakeMs } = options;
  const trialOptions: TrialOptions = { command, args, handshakeDeadlineMs };
  const found: Found = { command, args, problems: [], warnings: [], kinds: [], services: [], optional: {} };
  try {
    await using trial = await startWithAnyCookie(trialOptions);
    await examine(trial, options, found);
  } catch (error) {
    const isHandshake = isSpiffeError(error, 'PLUGIN_PROTOCOL');
    const message = isHandshake ? `${error.message}; ${HANDSHAKE_ADVICE}` : messageOf(error);
    found.problems.push({ step: isHandshake ? 'handshake' : 'start', message });
  }
  const [kind] = found.kinds.filter(({ side }) => options.side === undefined || side === options.side);
  if (kind !== undefined) await startAsHost(kind.type, trialOptions, found);
  if (options.suggest && kind !== undefined && found.problems.length === 0) {
    const { trustDomain, configFile } = options;
    await suggest({ trialOptions, type: kind.type, trustDomain, configFile }, options, found);
  }
  return { ...found, loadable: found.problems.length === 0 };
}

async function suggest(run: RunOptions, { exercise }: InspectOptions, found: Found): Promise<void> {
  try {
    found.suggestion = await suggestSandbox({ run, kinds: found.kinds, exercise });
  } catch (error) {
    const step =
      error instanceof RunFailure && error.step !== 'start' ? `while it was watched, at ${error.step}: ` : '';
    found.warnings.push({ step: 'suggestion', message: `${step}${messageOf(error)}` });
  }
}

/** Goes through a plugin's start step by step; the first one that fails is the last. */
async function examine(trial: Trial, options: InspectOptions, found: Found): Promise<void> {
  const { process, folder } = trial;
  const { coreVersion, protocolVersion, network, protocol } = process.handshake;
  found.handshake = { coreVersion, protocolVersion, network, protocol };
  found.handshakeMs = Math.round(trial.handshakeMs);
  let step: InspectionStep = 'handshake';
  try {
    requireUsableHandshake(process.handshake, false);
    step = 'socket';
    await folder.pinOwnSocket(process.handshake.address);
    step = 'connection';
    using connection = await trial.connect(undefined, DEFAULT_DEADLINES.connectMs);
    step = 'health';
    await connection.requireHealthy({ deadlineMs: DEFAULT_DEADLINES.connectMs });
    step = 'init';
    await using _host = await offerHost(trial, connection);
    found.services = await connection.init(hostServiceNames(trial.log), { deadlineMs: DEFAULT_DEADLINES.initMs });
    step = 'services';
    found.kinds = kindsOf(found.services);
    requireKinds(found.services, options.side);
    for (const name of unusedServices(found.services)) {
      found.warnings.push({ step, message: `it serves ${quoteText(name)}, which hosts pass over` });
    }
    step = 'configuration';
    await giveConfiguration(connection, options, found);
    found.readyMs = Math.round(performance.now() - trial.startedAtMs);
    const memoryBytes = await findMemoryBytes(process.pid);
    if (memoryBytes !== undefined) found.memoryBytes = memoryBytes;
    step = 'end';
    await askOptional(connection, options, found);
    await end(trial, connection, found);
  } catch (error) {
    const explained = await process.explain(error);
    const isExit = isSpiffeError(explained, 'PLUGIN_EXITED');
    found.problems.push({
      step,
      message: messageOf(isExit ? withLastWords(explained, process.lastLines) : explained),
    });
  }
}

async function giveConfiguration(
  connection: PluginConnection,
  { configFile, trustDomain }: InspectOptions,
  found: Found,
): Promise<void> {
  if (configFile === undefined) return;
  found.configured = false;
  const client = found.services.includes(CONFIG_SERVICE_NAME) ? connection.client(ConfigDefinition) : undefined;
  await configure(client, { file: configFile }, trustDomain, { deadlineMs: DEFAULT_DEADLINES.configureMs });
  found.configured = true;
}

async function askOptional(connection: PluginConnection, options: InspectOptions, found: Found): Promise<void> {
  const { configFile, trustDomain } = options;
  const health = await hasHealth(connection);
  const stdio = await hasStdio(connection);
  found.optional = { health, stdio };
  if (!found.services.includes(CONFIG_SERVICE_NAME)) return;
  const text = configFile === undefined ? '' : await readPluginData({ file: configFile });
  const { isThere, answer } = await askValidate(connection, trustDomain, text);
  found.optional = { health, stdio, validate: isThere };
  if (configFile === undefined || answer === undefined || (answer.valid && answer.notes.length === 0)) return;
  const notes = answer.notes.map(quoteText).join(', ') || 'no notes';
  found.warnings.push({
    step: 'configuration',
    message: `Validate refuses the configuration that Configure took: ${notes}`,
  });
}

async function end({ process }: Trial, connection: PluginConnection, found: Found): Promise<void> {
  found.optional = { ...found.optional, deinit: await hasDeinit(connection) };
  connection.closeBroker();
  await Promise.all([connection.shutdown(GRACE_MS), process[Symbol.asyncDispose]()]);
  if (process.exit?.signal === 'SIGKILL') {
    found.warnings.push({ step: 'end', message: `it did not end within ${GRACE_MS / 1_000} s and had to be killed` });
  }
}

/** Starts the plugin as a host that knows its kind does: with that kind's magic cookie alone, and with AutoMTLS. */
async function startAsHost(type: PluginType, options: TrialOptions, found: Found): Promise<void> {
  const { outcome, hasStarted } = await tryAutoMtls(type, options);
  found.autoMtls = outcome;
  if (hasStarted) return;
  try {
    await using _trial = await Trial.start(options, [type]);
  } catch (error) {
    const message = `it serves ${type} and does not start with that kind's magic cookie ${type}=${type} alone: ${messageOf(error)}`;
    found.problems.push({ step: 'cookie', message });
  }
}

async function tryAutoMtls(
  type: PluginType,
  options: TrialOptions,
): Promise<{ readonly outcome: AutoMtlsOutcome; readonly hasStarted: boolean }> {
  let hasStarted = false;
  try {
    await using trial = await Trial.start(options, [type], { autoMtls: true });
    hasStarted = true;
    requireUsableHandshake(trial.process.handshake, true);
    using connection = await trial.connect(trial.autoMtls, DEFAULT_DEADLINES.connectMs);
    await using _host = await offerHost(trial, connection);
    await connection.init(hostServiceNames(trial.log), { deadlineMs: DEFAULT_DEADLINES.initMs });
    return { outcome: { works: true }, hasStarted };
  } catch (error) {
    return { outcome: { works: false, reason: messageOf(error) }, hasStarted };
  }
}
