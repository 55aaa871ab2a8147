/** Whether a call of `node:fs` failed because there is nothing by that name. */
export function isMissingFile(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
