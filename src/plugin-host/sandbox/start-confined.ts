import { PluginProcess, type PluginProcessOptions } from '../plugin-process.ts';
import type { PluginSpec } from '../plugin-spec.ts';
import type { SocketFolder } from '../socket-folder.ts';
import { LaunchFailure } from './launch-report.ts';
import type { Sandbox } from './sandbox.ts';

/** What is replaced oftener is so on purpose, or for longer than a start can wait. */
const MAX_REPLACEMENTS = 5;

/**
 * Starts a plugin with all measures that are possible here: one that turns out not to be is left out, and the start is
 * done again; so it is where a file or folder was replaced that the plugin is shown.
 *
 * @throws SpiffeError `PLUGIN_NOT_LOADED` or `PLUGIN_PROTOCOL`; nothing is left running.
 */
export async function startConfined(
  spec: PluginSpec,
  { sandbox, folder }: { readonly sandbox: Sandbox; readonly folder: SocketFolder },
  options: Omit<PluginProcessOptions, 'command' | 'args' | 'launcher'>,
): Promise<PluginProcess> {
  const { command, args } = spec;
  for (let replacements = 0; ; ) {
    const { launcher, version, variables, measures, controlGroups } = await sandbox.prepare(spec, folder);
    try {
      const environment = { ...variables, ...options.environment };
      const process = await PluginProcess.start({
        ...options,
        command,
        args,
        launcher,
        environment,
        sandbox: measures,
        version,
      });
      for (const group of controlGroups) folder.beforeRemoval(() => group.remove());
      return process;
    } catch (error) {
      await Promise.all(controlGroups.map((group) => group.remove()));
      if (!(error instanceof LaunchFailure)) throw error;
      if (error.isReplacement && replacements++ < MAX_REPLACEMENTS) continue;
      sandbox.withdraw(spec, error);
    }
  }
}
