import { SpiffeError } from '../spiffe/error.ts';
import type { Position } from './syntax-tree.ts';

/** One mistake in a configuration. */
export interface ConfigProblem {
  /** A file, or a flag of the command line. */
  readonly source: string;
  readonly position?: Position | undefined;
  /** Such as `server.ca_subject.country[0]`; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
}

/** `server.conf:12:5: server.bind_port: must be …`. */
export function formatProblem({ source, position, path, message }: ConfigProblem): string {
  const where = position === undefined ? source : `${source}:${position.line}:${position.column}`;
  return path === '' ? `${where}: ${message}` : `${where}: ${path}: ${message}`;
}

/** A `CONFIG_INVALID` error that names every problem, one a line, in the order of the file. */
export function configError(problems: readonly ConfigProblem[]): SpiffeError {
  const inOrder = problems.toSorted(
    (a, b) =>
      (a.position?.line ?? 0) - (b.position?.line ?? 0) || (a.position?.column ?? 0) - (b.position?.column ?? 0),
  );
  return new SpiffeError('CONFIG_INVALID', inOrder.map(formatProblem).join('\n'));
}
