import { execFile } from 'node:child_process';
import { realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { buildPlugin } from '../../../authoring/build-plugin/index.ts';
import { messageOf, SpiffeError } from '../../../spiffe/error.ts';
import { defineCommand } from '../../command.ts';
import { text } from '../../flag-kinds.ts';
import { formatBuild, formatBuildJson } from '../../format-build.ts';
import { outputFlag } from '../../output.ts';

export const pluginBuild = defineCommand({
  summary: 'Make one executable file of a plugin written in TypeScript or JavaScript',
  flags: {
    o: text('File to write; without it, dist/<folder of the project>', 'FILE'),
    node: text('Node that runs the plugin; without it, the one that runs this command', 'PATH'),
    manifest: text('What the plugin needs of the sandbox; without it, manifest.json of the project', 'FILE'),
    output: outputFlag,
  },
  operands: 'ENTRY',
  run: async ({ o, node, manifest, output }, terminal, [entry, ...others]) => {
    if (entry === undefined || others.length > 0) {
      throw new SpiffeError(
        'ARGUMENT_INVALID',
        'give one file behind the flags: the first file of the plugin, such as src/main.ts',
      );
    }
    // Ending in this way takes the plugin and its sockets along.
    process.once('SIGINT', () => process.exit(130));
    process.once('SIGTERM', () => process.exit(143));
    const built = await buildPlugin({
      entry,
      output: o === '' ? undefined : o,
      node: node === '' ? process.execPath : await requireNode(resolve(node)),
      manifest: manifest === '' ? undefined : manifest,
    });
    terminal.print(output === 'json' ? formatBuildJson(built) : formatBuild(built));
    if (built.inspection.loadable) return;
    throw new SpiffeError(
      'PLUGIN_NOT_LOADED',
      `"${built.path}" is built and cannot be loaded: assayer plugin inspect says more`,
    );
  },
});

/** @throws SpiffeError for what is no Node 24 or later */
async function requireNode(path: string): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(path, ['--version'], { timeout: 10_000 });
    const major = Number(/^v(\d+)\./.exec(stdout)?.[1] ?? 0);
    if (major >= 24) return await realpath(path);
    throw new SpiffeError(
      'ARGUMENT_INVALID',
      `-node: "${path}" is not Node 24 or later: it says ${JSON.stringify(stdout.trim())}`,
    );
  } catch (cause) {
    if (cause instanceof SpiffeError) throw cause;
    const reason = messageOf(cause);
    throw new SpiffeError('ARGUMENT_INVALID', `-node: "${path}" does not run: ${reason}`, { cause });
  }
}
