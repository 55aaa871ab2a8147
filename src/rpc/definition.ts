/** What a generated codec offers; `T` stays open because a service mixes many. */
export interface MessageCodec<Encoded = never, Decoded = unknown> {
  encode(message: Encoded): { finish(): Uint8Array };
  decode(input: Uint8Array): Decoded;
}

/** One method of a generated service definition. */
export interface MethodDefinition {
  readonly name: string;
  readonly requestType: MessageCodec;
  readonly requestStream: boolean;
  readonly responseType: MessageCodec;
  readonly responseStream: boolean;
}

/** A generated service definition, such as `ConfigDefinition`. */
export interface ServiceDefinition {
  readonly fullName: string;
  readonly methods: Readonly<Record<string, MethodDefinition>>;
}

/** The message that a generated codec reads. */
export type MessageOf<Codec> = Codec extends { decode(input: Uint8Array): infer Message } ? Message : never;
export type RequestOf<Method extends MethodDefinition> = MessageOf<Method['requestType']>;
export type ResponseOf<Method extends MethodDefinition> = MessageOf<Method['responseType']>;

/** `/package.Service/Method`, as it travels in `:path`. */
export function methodPath(definition: ServiceDefinition, method: MethodDefinition): string {
  return `/${definition.fullName}/${method.name}`;
}
