import { findNearest } from '../config/suggest.ts';
import type { Command } from './command.ts';
import { COMMANDS } from './command-table.ts';
import { ExitCode } from './exit-code.ts';
import { parseFlags } from './flags.ts';
import { formatFailure } from './output.ts';
import type { Terminal } from './terminal.ts';
import { formatOverview, formatUsage } from './usage.ts';
import { readVersion } from './version.ts';

/** The program's exit codes. Source: SPIRE and the command line library below it. */
const EXIT = { ok: 0, failed: 1, unknownCommand: 127 } as const;

/** Runs what the words ask for. @returns the exit code; every failure was told on standard error */
export async function runCommandLine(args: readonly string[], terminal: Terminal): Promise<number> {
  try {
    const isHelp = args[0] === 'help';
    const given = isHelp ? args.slice(1) : args;
    const end = given.findIndex((arg) => arg.startsWith('-'));
    const words = end === -1 ? given : given.slice(0, end);
    const flagArgs = given.slice(words.length);
    if (words.length === 0 && ['-v', '-version', '--version'].includes(flagArgs[0] ?? '')) {
      terminal.print(`assayer ${await readVersion()}\n`);
      return EXIT.ok;
    }
    const found = await findCommand(words);
    if (found === undefined) return await showOverview(words, isHelp || asksForHelp(flagArgs), terminal);
    const { name, command, extra } = found;
    if (isHelp) return showUsage(name, command, terminal);
    const operandsAt = command.operands === undefined ? 'nowhere' : command.flagsFollow === true ? 'anywhere' : 'end';
    const { values, helpWanted, operands } = parseFlags(command.flags, [...extra, ...flagArgs], operandsAt);
    if (helpWanted) return showUsage(name, command, terminal);
    await command.run(values, terminal, operands);
    return EXIT.ok;
  } catch (error) {
    if (error instanceof ExitCode) return error.code;
    terminal.printError(formatFailure(error));
    return EXIT.failed;
  }
}

interface FoundCommand {
  readonly name: string;
  readonly command: Command;
  /** Words behind the command's own: it takes operands. */
  readonly extra: readonly string[];
}

/** The command of these words, or one of the first of them which takes the others as operands. */
async function findCommand(words: readonly string[]): Promise<FoundCommand | undefined> {
  for (let count = words.length; count > 0; count--) {
    const name = words.slice(0, count).join(' ');
    const command = await COMMANDS.get(name)?.();
    const extra = words.slice(count);
    if (command !== undefined && (extra.length === 0 || command.operands !== undefined)) {
      return { name, command, extra };
    }
  }
  return undefined;
}

function asksForHelp(flagArgs: readonly string[]): boolean {
  return flagArgs.some((arg) => ['-h', '-help', '--h', '--help'].includes(arg));
}

function showUsage(name: string, command: Command, terminal: Terminal): number {
  terminal.print(formatUsage(name, command));
  return EXIT.ok;
}

/** For words that are no command: the commands below them, or what is wrong with them. */
async function showOverview(words: readonly string[], isAskedFor: boolean, terminal: Terminal): Promise<number> {
  const unknown = words.findIndex((_word, index) => namesBelow(words.slice(0, index + 1)).length === 0);
  if (unknown !== -1) {
    terminal.printError(`Error: ${describeUnknown(words.slice(0, unknown), words[unknown] ?? '')}\n`);
    return EXIT.unknownCommand;
  }
  const names = namesBelow(words);
  const commands = await Promise.all(
    names.map(async (name): Promise<readonly [string, Command]> => {
      const load = COMMANDS.get(name);
      if (load === undefined) throw new Error(`no command "${name}"`);
      return [name, await load()];
    }),
  );
  const overview = formatOverview(words.join(' '), commands);
  if (isAskedFor) terminal.print(overview);
  else terminal.printError(overview);
  if (isAskedFor) return EXIT.ok;
  return words.length === 0 ? EXIT.unknownCommand : EXIT.failed;
}

/** The command of these words and those below. */
function namesBelow(words: readonly string[]): readonly string[] {
  const name = words.join(' ');
  return [...COMMANDS.keys()].filter((known) => name === '' || known === name || known.startsWith(`${name} `));
}

function describeUnknown(before: readonly string[], word: string): string {
  const known = [...new Set(namesBelow(before).map((name) => name.split(' ')[before.length] ?? ''))].filter(Boolean);
  const what = `${JSON.stringify([...before, word].join(' '))} is no command`;
  const nearest = findNearest(word, known);
  if (nearest !== undefined) return `${what}, did you mean "${[...before, nearest].join(' ')}"?`;
  if (known.length === 0) return `${what}: nothing follows "${before.join(' ')}" but flags`;
  return `${what}: known are ${known.map((next) => [...before, next].join(' ')).join(', ')}`;
}
