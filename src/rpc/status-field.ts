/**
 * What a line of /proc/PID/status says after its name. The name of the program, in the first line, is whatever a process has
 * chosen: the kernel escapes the line feeds in it and no other character that a regular expression takes for an end of line.
 *
 * @see proc_pid_status(5)
 */
export function statusField(status: string, name: string): string | undefined {
  const start = `${name}:`;
  return status
    .split('\n')
    .find((line) => line.startsWith(start))
    ?.slice(start.length)
    .trim();
}
