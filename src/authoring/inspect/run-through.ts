import { ConfigDefinition } from '../../gen/spire/service/common/config/v1/config.ts';
import { CONFIG_SERVICE_NAME, configure } from '../../plugin-host/configure.ts';
import { requireUsableHandshake } from '../../plugin-host/handshake-policy.ts';
import type { PluginConnection } from '../../plugin-host/plugin-connection.ts';
import { withLastWords } from '../../plugin-host/plugin-process.ts';
import { DEFAULT_DEADLINES } from '../../plugin-host/plugin-spec.ts';
import type { PluginType } from '../../rpc/go-plugin.ts';
import { isSpiffeError, messageOf } from '../../spiffe/error.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import type { SuggestionStep } from '../suggest/index.ts';
import { GRACE_MS, Trial, type TrialOptions, type TrialSettings } from '../trial/trial.ts';
import { hostServiceNames, offerHost } from './offer-host.ts';
import { askValidate, hasDeinit } from './probes.ts';

export interface RunOptions {
  readonly trialOptions: TrialOptions;
  readonly type: PluginType;
  readonly trustDomain: TrustDomain;
  readonly configFile: string | undefined;
}

/** Where a run of a plugin that worked before came to its end. */
export class RunFailure extends Error {
  override readonly name = 'RunFailure';
  readonly step: SuggestionStep;

  constructor(step: SuggestionStep, cause: unknown) {
    super(messageOf(cause), { cause });
    this.step = step;
  }
}

/**
 * One whole life of a plugin: start, Init, Configure where there is a configuration, `use`, and its end.
 *
 * @throws RunFailure; LaunchFailure as `start` does
 */
export async function runThrough<Result>(
  { trialOptions, type, trustDomain, configFile }: RunOptions,
  start: NonNullable<TrialSettings['start']>,
  use: (connection: PluginConnection, trial: Trial) => Promise<Result>,
): Promise<Result> {
  let step: SuggestionStep = 'start';
  const stack = new AsyncDisposableStack();
  try {
    const trial = stack.use(await Trial.start(trialOptions, [type], { start }));
    try {
      step = 'connection';
      requireUsableHandshake(trial.process.handshake, false);
      await trial.folder.pinOwnSocket(trial.process.handshake.address);
      const connection = stack.use(await trial.connect(undefined, DEFAULT_DEADLINES.connectMs));
      await connection.requireHealthy({ deadlineMs: DEFAULT_DEADLINES.connectMs });
      step = 'init';
      stack.use(await offerHost(trial, connection));
      const services = await connection.init(hostServiceNames(trial.log), { deadlineMs: DEFAULT_DEADLINES.initMs });
      step = 'configuration';
      if (configFile !== undefined) {
        const client = services.includes(CONFIG_SERVICE_NAME) ? connection.client(ConfigDefinition) : undefined;
        const deadline = { deadlineMs: DEFAULT_DEADLINES.configureMs };
        await configure(client, { file: configFile }, trustDomain, deadline);
      }
      if (services.includes(CONFIG_SERVICE_NAME)) await askValidate(connection, trustDomain, '');
      step = 'calls';
      const result = await use(connection, trial);
      await hasDeinit(connection);
      connection.closeBroker();
      await Promise.all([connection.shutdown(GRACE_MS), trial.process[Symbol.asyncDispose]()]);
      return result;
    } catch (error) {
      const explained = await trial.process.explain(error);
      const isExit = isSpiffeError(explained, 'PLUGIN_EXITED');
      throw isExit ? withLastWords(explained, trial.process.lastLines) : explained;
    }
  } catch (error) {
    throw new RunFailure(step, error);
  } finally {
    await stack.disposeAsync();
  }
}
