import { findBuilt } from '../../addon/find-built.ts';
import { PluginProcess } from '../../plugin-host/plugin-process.ts';
import { allVariables } from '../../plugin-host/sandbox/environment.ts';
import { LaunchFailure } from '../../plugin-host/sandbox/launch-report.ts';
import { type Observation, readObservation } from '../../plugin-host/sandbox/sightings.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import type { TrialOptions, TrialSettings } from '../trial/trial.ts';

/** Starts plugins as they are, and has what they do written down. */
export class Watch {
  readonly #options: TrialOptions;
  readonly #launcher: string;
  #observation: Promise<Observation> | undefined;

  /** @throws SpiffeError where the launcher is not built */
  constructor(options: TrialOptions) {
    const launcher = findBuilt('sandbox');
    if (launcher === undefined) {
      throw new SpiffeError('PLUGIN_NOT_LOADED', 'the launcher is not built, run "npm run setup"');
    }
    this.#options = options;
    this.#launcher = launcher;
  }

  /** @throws SpiffeError `PLUGIN_NOT_LOADED`, also where nobody may be watched here, with what helps */
  readonly start: NonNullable<TrialSettings['start']> = async (_folder, options) => {
    const { command, args } = this.#options;
    try {
      return await PluginProcess.start({
        ...options,
        command,
        args,
        launcher: { command: this.#launcher, args: ['--limit', 'core', '0', '--no-new-privileges'] },
        environment: { ...allVariables(), ...options.environment },
        onSightings: (lines) => {
          this.#observation = readObservation(lines);
        },
      });
    } catch (error) {
      if (!(error instanceof LaunchFailure) || error.measure !== 'observation') throw error;
      const advice = ADVICE[error.reason] ?? KERNEL_ADVICE;
      throw new SpiffeError('PLUGIN_NOT_LOADED', `nobody may be watched here: ${error.message}: ${advice}`, {
        cause: error,
      });
    }
  };

  /** All that was seen; settles once the plugin and what it started have ended. */
  async observation(): Promise<Observation> {
    return (await this.#observation) ?? NOTHING;
  }
}

const NOTHING: Observation = {
  sightings: [],
  peaks: { processes: 0, files: 0, memoryBytes: 0 },
  isComplete: false,
};

const KERNEL_ADVICE = 'it takes Linux 5.5 or later, on x86-64, arm64 or 64-bit RISC-V, with seccomp’s notifications';
const ADVICE: Readonly<Record<string, string>> = {
  EBUSY: 'this program is watched itself, by a container’s runtime for one: try it outside',
  EPERM: 'a container’s filter of system calls forbids it: try it outside',
};
