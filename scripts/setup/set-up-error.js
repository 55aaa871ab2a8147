/** Set-up cannot go on; the message tells the person at the keyboard why, and what to do. */
export class SetUpError extends Error {
  name = 'SetUpError';
}

/**
 * Prints the one line that explains a failure and leaves with 1. A mistake of our own keeps its stack.
 *
 * @param {unknown} error
 * @returns {never}
 */
export function exitWithReason(error) {
  process.stderr.write(`${error instanceof SetUpError ? `set-up: ${error.message}` : error?.stack}\n`);
  process.exit(1);
}
