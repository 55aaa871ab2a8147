// The name of the program, in both files, is whatever a process has chosen.

/**
 * What a line of /proc/PID/status says after its name. The kernel escapes the line feeds of the program's name, in the first
 * line, and no other character that a regular expression takes for an end of line.
 *
 * @see proc_pid_status(5)
 */
export function statusField(status: string, name: string): string | undefined {
  const start = `${name}:`;
  const at = status.startsWith(start) ? 0 : status.indexOf(`\n${start}`) + 1;
  if (!status.startsWith(start, at)) return undefined;
  const end = status.indexOf('\n', at);
  return status.slice(at + start.length, end === -1 ? undefined : end).trim();
}

/**
 * Fields of /proc/PID/stat by their numbers, from the third on; the second, the program's name in parentheses, may hold
 * anything.
 *
 * @see proc_pid_stat(5)
 */
export function statFields(stat: string, ...numbers: readonly number[]): readonly (string | undefined)[] {
  const fromThird = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return numbers.map((number) => fromThird[number - 3]);
}
