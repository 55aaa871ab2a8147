import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { sandboxConfig } from '../../src/config/sandbox-config.ts';
import { JOIN_TOKEN, pluginConfig, TestHost } from '../plugin-host/go-plugins.ts';
import { builtinPlugins } from './built-programs.ts';

// A host with a plugin that wants to outlive it: undoes what the kernel was asked to do at its parent's end, leaves its
// process group and its session, and starts a process that does the same twice over; it kills what started it too, where that
// is not to be possible. The first line of input is a mark that all of them bear, and the plugin's sandbox; at the second one it ends in good order.

/** prctl(PR_SET_PDEATHSIG, 0) and setsid(), with the numbers of x86-64. */
const ESCAPE = `
  sub escape { syscall(157, 1, 0, 0, 0, 0); syscall(112); }
  my ($mark, $kills) = splice @ARGV, 0, 2;
  kill 9, getppid if $kills eq 'kills';
  if (fork == 0) {
    escape;
    if (fork == 0) { escape; exec 'perl', '-e', 'sleep 60', $mark; }
    exit;
  }
  escape;
  exec @ARGV, $mark;
`;

const root = join(import.meta.dirname, '..', '..');
const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const { mark, kills, sandbox } = JSON.parse((await input.next()).value ?? '{}');
const attestor = pluginConfig({
  type: 'WorkloadAttestor',
  name: 'hostile',
  command: '/usr/bin/perl',
  args: ['-e', ESCAPE, mark, kills, process.execPath, join(root, 'test', 'harness', 'hostile-plugin.ts')],
  data: { text: 'attempt = "user"' },
  sandbox: sandboxConfig.parse({
    ...sandbox,
    ...(sandbox.readable === undefined
      ? {}
      : { readable: ['src', 'node_modules', 'package.json', 'test', 'tools'].map((name) => join(root, name)) }),
  }),
});
const catalog = await new TestHost().load(
  'agent',
  [pluginConfig({ type: 'KeyManager', name: 'memory' }), JOIN_TOKEN, attestor],
  { builtins: builtinPlugins('agent') },
);
process.stdout.write(`${JSON.stringify({ pid: catalog.plugins.find(({ name }) => name === 'hostile')?.pid })}\n`);
await input.next();
await catalog[Symbol.asyncDispose]();
process.stdout.write('ended\n', () => process.exit(0));
