/** A failure with one line for the person who watches: what failed and what to do. */
export class DemoError extends Error {
  override readonly name = 'DemoError';
}
