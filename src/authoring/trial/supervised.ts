import { findBuilt } from '../../addon/find-built.ts';
import { PluginProcess, type PluginProcessOptions } from '../../plugin-host/plugin-process.ts';
import { allVariables } from '../../plugin-host/sandbox/environment.ts';
import { LaunchFailure } from '../../plugin-host/sandbox/launch-report.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { quoteText } from '../../spiffe/quote-text.ts';

/**
 * The launcher, which takes nothing from a program here: it ends what that leaves behind, in whatever session it hides.
 *
 * @returns its path; undefined where it is not built, and a program's group has to do.
 */
export function findSupervisor(): string | undefined {
  return findBuilt('sandbox');
}

/** Starts a plugin as it is, with all variables of this process. @throws as {@link PluginProcess.start} */
export async function startSupervised(options: Omit<PluginProcessOptions, 'launcher'>): Promise<PluginProcess> {
  const supervisor = findSupervisor();
  try {
    return await PluginProcess.start({
      ...options,
      ...(supervisor === undefined ? {} : { launcher: { command: supervisor, args: [] } }),
      environment: { ...allVariables(), ...options.environment },
    });
  } catch (error) {
    if (!(error instanceof LaunchFailure)) throw error;
    const message = `cannot start ${quoteText(options.command)}: ${error.message}`;
    throw new SpiffeError('PLUGIN_NOT_LOADED', message, { cause: error });
  }
}
