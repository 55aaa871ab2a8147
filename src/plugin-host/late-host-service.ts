import type { CallContext, ServiceHandlers } from '../rpc/call.ts';
import type { ServiceDefinition } from '../rpc/definition.ts';
import type { BoundService } from '../rpc/service.ts';
import { SpiffeError } from '../spiffe/error.ts';

/**
 * A host service whose answers come from what is only there once every plugin is configured. Until it is wired it
 * answers `FAILED_PRECONDITION`, as SPIRE's do. All methods are unary.
 */
export class LateHostService<Definition extends ServiceDefinition> {
  /** For the catalog's options. */
  readonly service: BoundService;
  #handlers: Partial<Record<string, unknown>> | undefined;

  constructor(definition: Definition) {
    const handlers = Object.keys(definition.methods).map((name) => [
      name,
      async (request: unknown, context: CallContext) => await this.#handler(definition, name)(request, context),
    ]);
    this.service = { definition, handlers: Object.fromEntries(handlers) };
  }

  wire(handlers: ServiceHandlers<Definition>): void {
    this.#handlers = handlers;
  }

  #handler(definition: Definition, name: string): (request: unknown, context: CallContext) => unknown {
    const handler = this.#handlers?.[name];
    if (typeof handler === 'function') return (request, context) => handler(request, context);
    throw new SpiffeError(
      'FAILED_PRECONDITION',
      `${definition.fullName} answers once every plugin is configured: call it during attestation, not in Configure`,
    );
  }
}
