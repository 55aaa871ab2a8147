import type { Flags, FlagValues } from './flags.ts';
import type { Terminal } from './terminal.ts';

/** What `assayer` does for some words. The words themselves are in the table of commands. */
export interface Command<F extends Flags = Flags> {
  /** One line, as in a list of commands. */
  readonly summary: string;
  readonly flags: F;
  /** What follows the flags, such as `COMMAND [ARGUMENT…]`; absent, nothing may. */
  readonly operands?: string;
  /** Flags may also stand behind the operands: those are no command line of their own. */
  readonly flagsFollow?: boolean;
  /**
   * @param operands the words from the first one on that belongs to no flag
   * @throws what is told to the user, with exit code 1
   */
  run(values: FlagValues<F>, terminal: Terminal, operands: readonly string[]): Promise<void>;
}

/** Lets the compiler see the flags' types in `run`. */
export function defineCommand<F extends Flags>(command: Command<F>): Command {
  return command;
}
