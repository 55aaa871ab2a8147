import type { ServiceHandlers } from './call.ts';
import type { ServiceDefinition } from './definition.ts';

/** A service with its handlers, ready to be served. */
export interface BoundService {
  readonly definition: ServiceDefinition;
  /** By the method's name in the generated definition; a method without one answers `UNIMPLEMENTED`. */
  readonly handlers: Readonly<Record<string, unknown>>;
}

export function bindService<Definition extends ServiceDefinition>(
  definition: Definition,
  handlers: Partial<ServiceHandlers<Definition>>,
): BoundService {
  return { definition, handlers };
}
