import type { ServiceHandlers } from './call.ts';
import type { ServiceDefinition } from './definition.ts';

/** A service with its handlers, ready to be served. */
export interface BoundService {
  readonly definition: ServiceDefinition;
  /** By the method's name in the generated definition; a method without one answers `UNIMPLEMENTED`. */
  readonly handlers: Readonly<Record<string, unknown>>;
  /** Methods with requests in a stream whose calls go on until the server stops, as all streams of answers alone do. */
  readonly endless?: ReadonlySet<string>;
}

export function bindService<Definition extends ServiceDefinition>(
  definition: Definition,
  handlers: Partial<ServiceHandlers<Definition>>,
  endless: readonly (keyof Definition['methods'] & string)[] = [],
): BoundService {
  return { definition, handlers, endless: new Set(endless) };
}
