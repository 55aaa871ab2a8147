import { KIND_NAMES, newPlugin, parseKind } from '../../../authoring/new-plugin/index.ts';
import { SpiffeError } from '../../../spiffe/error.ts';
import { defineCommand } from '../../command.ts';
import { oneOf, text } from '../../flag-kinds.ts';

export const pluginNew = defineCommand({
  summary: 'Make a project for a plugin of your own, which builds, tests and runs at once',
  flags: {
    kind: text(`What it is: ${KIND_NAMES.join(', ')}`, 'KIND'),
    lang: oneOf('Language that it is written in', ['ts', 'go']),
  },
  operands: 'NAME',
  run: async ({ kind, lang }, terminal, [name, ...others]) => {
    if (name === undefined || others.length > 0) {
      throw new SpiffeError(
        'ARGUMENT_INVALID',
        'give one name behind the flags: that of the plugin, which is also its folder',
      );
    }
    const folder = await newPlugin({ kind: parseKind(kind), language: lang, name, parent: process.cwd() });
    const next = lang === 'go' ? 'make build test' : 'npm run build && npm test';
    terminal.print(`${folder}\n\nNext: cd ${name} && ${next}\n`);
  },
});
