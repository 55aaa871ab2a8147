import { randomUUID } from 'node:crypto';
import type { AuditSkip } from '../../config/audit-log-config.ts';
import type { LogFields, Logger } from '../../log/logger.ts';
import type { CallContext, Interceptor } from '../../rpc/call.ts';
import { type MethodDefinition, methodPath } from '../../rpc/definition.ts';
import type { BoundService } from '../../rpc/service.ts';
import { toStatus } from '../../rpc/status.ts';
import { Status } from '../../spiffe/status.ts';
import type { Caller } from '../authorization/caller.ts';
import { CALL_DESCRIPTIONS, type CallDescription, type ItemRecord } from './call-descriptions.ts';
import { callerFields } from './caller-fields.ts';
import { isSkipped } from './is-skipped.ts';

export interface AuditLogOptions {
  readonly log: Logger;
  readonly skip: readonly AuditSkip[];
  /** Who was let through. */
  readonly findCaller: (context: CallContext) => Caller | undefined;
}

type AnyHandler = (request: unknown, context: CallContext) => unknown;

interface CallRecord {
  readonly requestId: string;
  fields: LogFields;
  items: readonly ItemRecord[] | undefined;
}

/**
 * One record for every call, and for a batch one for every item, with SPIRE's fields: who, what, and how it ended. It is told of
 * the call by the handlers that {@link wrap} returns, and of its end as an interceptor.
 */
export class AuditLog implements Interceptor {
  readonly #options: AuditLogOptions;
  readonly #calls = new WeakMap<CallContext, CallRecord>();

  constructor(options: AuditLogOptions) {
    this.#options = options;
  }

  before(context: CallContext): void {
    this.#calls.set(context, { requestId: randomUUID(), fields: {}, items: undefined });
  }

  after(context: CallContext, error: unknown): void {
    const record = this.#calls.get(context);
    if (record !== undefined) this.#write(context, record, error);
  }

  /** The same service, whose calls are seen. */
  wrap(service: BoundService): BoundService {
    const { definition, handlers } = service;
    const seen = Object.entries(definition.methods).flatMap(([name, method]) => {
      const handler = handlers[name];
      const description = CALL_DESCRIPTIONS.get(methodPath(definition, method));
      if (typeof handler !== 'function' || description === undefined) return [];
      return [[name, this.#seen(handler as AnyHandler, method, description)] as const];
    });
    return { definition, handlers: { ...handlers, ...Object.fromEntries(seen) } };
  }

  /** No method of the server's API answers a single request with a stream and has something to tell. */
  #seen(handler: AnyHandler, { requestStream, responseStream }: MethodDefinition, description: CallDescription) {
    if (requestStream) {
      if (responseStream) {
        return (requests: AsyncIterable<unknown>, context: CallContext) => {
          const answers = handler(this.#seeFirst(requests, context, description), context);
          return this.#seeAnswers(answers as AsyncIterable<unknown>, context, description);
        };
      }
      return async (requests: AsyncIterable<unknown>, context: CallContext) => {
        let first: unknown;
        const keep = (request: unknown) => {
          first = request;
        };
        const response = await handler(this.#seeFirst(requests, context, description, keep), context);
        this.#answer(context, description, first, response);
        return response;
      };
    }
    if (responseStream) return handler;
    return async (request: unknown, context: CallContext) => {
      this.#see(context, description, request);
      const response = await handler(request, context);
      this.#answer(context, description, request, response);
      return response;
    };
  }

  #see(context: CallContext, { fields }: CallDescription, request: unknown): void {
    const record = this.#calls.get(context);
    if (record !== undefined) record.fields = fields?.(request) ?? {};
  }

  #answer(context: CallContext, { items, answered }: CallDescription, request: unknown, response: unknown): void {
    const record = this.#calls.get(context);
    if (record === undefined) return;
    if (items !== undefined) record.items = items(request, response);
    record.fields = { ...record.fields, ...answered?.(response) };
  }

  async *#seeFirst(
    requests: AsyncIterable<unknown>,
    context: CallContext,
    description: CallDescription,
    keep: (request: unknown) => void = () => {},
  ) {
    let isFirst = true;
    for await (const request of requests) {
      if (isFirst) {
        this.#see(context, description, request);
        keep(request);
      }
      isFirst = false;
      yield request;
    }
  }

  async *#seeAnswers(answers: AsyncIterable<unknown>, context: CallContext, description: CallDescription) {
    for await (const answer of answers) {
      this.#answer(context, description, undefined, answer);
      yield answer;
    }
  }

  #write(context: CallContext, { requestId, fields, items }: CallRecord, error: unknown): void {
    const { log, skip, findCaller } = this.#options;
    const caller = findCaller(context);
    const whole = error === undefined ? { code: Status.Ok, message: '' } : statusOfError(error);
    const all: readonly ItemRecord[] = error === undefined && items !== undefined ? items : [{ fields, status: whole }];
    const told = all.filter(({ status }) => !skip.some((one) => isSkipped(one, context, caller, status.code)));
    if (told.length === 0) return;
    const [service = '', method = ''] = context.method.slice(1).split('/');
    const who = callerFields(context.peer, caller);
    for (const { fields: what, status } of told) {
      log.info('API accessed', {
        type: 'audit',
        service: service.replace(/^spire\.api\.server\./, ''),
        method,
        request_id: requestId,
        ...who,
        ...statusFields(status),
        ...shortened(what),
      });
    }
  }
}

function statusOfError(error: unknown): { code: number; message: string } {
  const { code, details } = toStatus(error);
  return { code, message: details };
}

function statusFields({ code, message }: ItemRecord['status']): LogFields {
  if (code === Status.Ok) return { status: 'success' };
  return { status: 'error', status_code: nameOfStatus(code), status_message: message };
}

function nameOfStatus(code: number): string {
  return Object.entries(Status).find(([, value]) => value === code)?.[0] ?? String(code);
}

const MAX_CHARACTERS = 2048;

function shortened(fields: LogFields): LogFields {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [
      key,
      typeof value === 'string' && value.length > MAX_CHARACTERS ? `${value.slice(0, MAX_CHARACTERS)}…` : value,
    ]),
  );
}
