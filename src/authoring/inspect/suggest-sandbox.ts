import { basename } from 'node:path';
import { Logger } from '../../log/logger.ts';
import { readPluginData } from '../../plugin-host/configure.ts';
import type { PluginConnection } from '../../plugin-host/plugin-connection.ts';
import type { PluginSpec } from '../../plugin-host/plugin-spec.ts';
import { Sandbox } from '../../plugin-host/sandbox/sandbox.ts';
import { startConfined } from '../../plugin-host/sandbox/start-confined.ts';
import {
  notesOnManifest,
  type Suggestion,
  type SuggestionSubject,
  type SuggestionTrial,
  suggestManifest,
} from '../suggest/index.ts';
import type { PluginKind } from '../trial/offered-kinds.ts';
import { makeHarmlessCalls } from './make-calls.ts';
import { RunFailure, type RunOptions, runThrough } from './run-through.ts';
import { Watch } from './watch-plugin.ts';

/** `watched`: all that it does is written down; `confined`: under the suggestion that came of it. */
export type RunPhase = 'watched' | 'confined';

/** Uses a plugin that is ready. What it throws ends the run. */
export type Exercise = (connection: PluginConnection, phase: RunPhase, socketPath: string) => Promise<void>;

export interface SuggestOptions {
  readonly run: RunOptions;
  readonly kinds: readonly PluginKind[];
  readonly exercise: Exercise | undefined;
}

/**
 * Watches a plugin for the length of one life, tells what it would have done with, and starts it again with just that.
 *
 * @throws SpiffeError where it cannot be watched, RunFailure where it does not go well while it is watched
 */
export async function suggestSandbox(options: SuggestOptions): Promise<Suggestion> {
  const { run } = options;
  const watch = new Watch(run.trialOptions);
  const { command, args } = run.trialOptions;
  const { socketFolder, answers } = await runThrough(run, watch.start, async (connection, trial) => {
    const answers = await makeHarmlessCalls(connection, options.kinds);
    await options.exercise?.(connection, 'watched', trial.process.handshake.address);
    return { socketFolder: trial.folder.path, answers };
  });
  const suggestion = await suggestManifest(await watch.observation(), { command, args, socketFolder });
  const named = { ...suggestion, subject: await subjectOf(options) };
  const notes = [...suggestion.notes, ...notesOnManifest(named)];
  return { ...named, notes, trial: await trySuggestion(suggestion, options, answers) };
}

async function subjectOf({ run, kinds }: SuggestOptions): Promise<SuggestionSubject> {
  const { configFile, type, trialOptions } = run;
  const side = kinds.find((kind) => kind.type === type)?.side ?? 'server';
  const configuration = configFile === undefined ? '' : await readPluginData({ file: configFile });
  return { name: basename(trialOptions.command), side, type, configuration };
}

async function trySuggestion(
  suggestion: Suggestion,
  { run, kinds, exercise }: SuggestOptions,
  answersBefore: readonly unknown[],
): Promise<SuggestionTrial> {
  const missing = new Map<string, string>();
  const log = new Logger(({ fields }) => {
    const { measure, reason } = fields;
    if (typeof measure === 'string') missing.set(measure, String(reason));
  }, 'info');
  // Without a folder for data no folder is given to another user: what the plugin has written stays whose it is.
  const sandbox = new Sandbox({ dataDir: undefined, log });
  const spec = toSpec(suggestion, run, kinds);
  const untried = () => [...missing].map(([measure, reason]) => `${measure}: ${reason}`);
  try {
    await runThrough(
      run,
      (folder, options) => startConfined(spec, { sandbox, folder }, options),
      async (connection, trial) => {
        const answers = await makeHarmlessCalls(connection, kinds);
        const worse = answers.find((answer, index) => answer !== undefined && answersBefore[index] === undefined);
        if (worse !== undefined) throw worse;
        await exercise?.(connection, 'confined', trial.process.handshake.address);
      },
    );
    return { works: true, untried: untried() };
  } catch (error) {
    if (!(error instanceof RunFailure)) throw error;
    return { works: false, step: error.step, reason: error.message, untried: untried() };
  }
}

function toSpec({ manifest, limits }: Suggestion, run: RunOptions, kinds: readonly PluginKind[]): PluginSpec {
  const { command, args } = run.trialOptions;
  const [kind] = kinds.filter(({ type }) => type === run.type);
  return {
    side: kind?.side ?? 'server',
    type: run.type,
    name: 'suggestion',
    builtin: false,
    command,
    args,
    checksum: undefined,
    data: run.configFile === undefined ? undefined : { file: run.configFile },
    autoMtls: false,
    manifest: () => manifest,
    sandbox: { enabled: true, required: false, env: [], ...limits },
  };
}
