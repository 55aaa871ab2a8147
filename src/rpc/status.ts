import { Metadata, type StatusObject } from '@grpc/grpc-js';
import { Status as RpcStatus } from '../gen/google/rpc/status.ts';
import { type ErrorDetail, SpiffeError } from '../spiffe/error.ts';
import { Status } from '../spiffe/status.ts';

const DETAILS_KEY = 'grpc-status-details-bin';
/** A message is a header: one that is too long, such as one that quotes a hostile name, ends the whole connection. */
const MAX_MESSAGE_CHARACTERS = 2048;

/** A peer answered with this status. */
export class RemoteError extends Error {
  override readonly name = 'RemoteError';
  readonly status: Status;
  readonly details: readonly ErrorDetail[];

  constructor(status: Status, message: string, details: readonly ErrorDetail[] = [], options?: ErrorOptions) {
    super(message, options);
    this.status = status;
    this.details = details;
  }
}

/** The only place where an error becomes a wire status. Strangers become `Internal`, unnamed. */
export function toStatus(error: unknown): StatusObject {
  if (!(error instanceof SpiffeError || error instanceof RemoteError)) {
    return { code: Status.Internal, details: 'internal error', metadata: new Metadata() };
  }
  return { code: error.status, details: messageOf(error), metadata: detailsMetadata(error) };
}

/** The inverse, on the calling side. What is not a gRPC status stays what it is. */
export function fromStatus(error: unknown): unknown {
  if (!isStatusObject(error)) return error;
  const [details] = error.metadata?.get(DETAILS_KEY) ?? [];
  return remoteError(error.code, error.details, details instanceof Uint8Array ? details : undefined, { cause: error });
}

/** @param details `google.rpc.Status`, encoded, as it came */
export function remoteError(
  code: number,
  message: string,
  details: Uint8Array | undefined,
  options?: ErrorOptions,
): RemoteError {
  return new RemoteError(knownStatus(code), message, decodeDetails(details), options);
}

/** The gRPC status that an error stands for, whoever raised it. */
export function statusOf(error: unknown): Status {
  return error instanceof SpiffeError || error instanceof RemoteError ? error.status : Status.Internal;
}

/** Well-formed: grpc-js throws at half a character, such as a cut leaves, and the call is never answered. */
function messageOf({ message }: Error): string {
  const short = message.length <= MAX_MESSAGE_CHARACTERS ? message : `${message.slice(0, MAX_MESSAGE_CHARACTERS)}…`;
  return short.toWellFormed();
}

function detailsMetadata(error: SpiffeError | RemoteError): Metadata {
  const metadata = new Metadata();
  if (error.details.length === 0) return metadata;
  const details = error.details.map(({ typeUrl, value }) => ({ typeUrl, value }));
  const status = RpcStatus.encode({ code: error.status, message: messageOf(error), details }).finish();
  metadata.set(DETAILS_KEY, Buffer.from(status));
  return metadata;
}

function decodeDetails(value: Uint8Array | undefined): readonly ErrorDetail[] {
  if (value === undefined) return [];
  try {
    return RpcStatus.decode(value).details;
  } catch {
    return []; // a peer's broken details do not hide its status
  }
}

function isStatusObject(error: unknown): error is { code: number; details: string; metadata?: Metadata } {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' && 'details' in error;
}

/** @param code as it came from a peer */
export function knownStatus(code: number): Status {
  return Object.values(Status).find((status) => status === code) ?? Status.Unknown;
}
