import { Status } from './status.ts';

/** Every failure raised on purpose, with the gRPC status a peer sees for it. */
export const ERROR_STATUS = {
  // values
  ARGUMENT_INVALID: Status.InvalidArgument,
  SPIFFE_ID_INVALID: Status.InvalidArgument,
  SELECTOR_INVALID: Status.InvalidArgument,
  BUNDLE_INVALID: Status.InvalidArgument,
  SVID_INVALID: Status.InvalidArgument,
  DER_INVALID: Status.InvalidArgument,
  CSR_INVALID: Status.InvalidArgument,
  CERTIFICATE_INVALID: Status.InvalidArgument,
  CERTIFICATE_UNTRUSTED: Status.PermissionDenied,
  TPM_DATA_INVALID: Status.InvalidArgument,
  CONFIG_INVALID: Status.InvalidArgument,
  // verdicts
  ATTESTATION_DENIED: Status.PermissionDenied,
  NO_IDENTITY: Status.PermissionDenied, // SPIFFE Workload Endpoint §6
  PERMISSION_DENIED: Status.PermissionDenied,
  UNAUTHENTICATED: Status.Unauthenticated,
  // state
  ENTRY_NOT_FOUND: Status.NotFound,
  AGENT_NOT_FOUND: Status.NotFound,
  BUNDLE_NOT_FOUND: Status.NotFound,
  KEY_NOT_FOUND: Status.NotFound,
  JOIN_TOKEN_NOT_FOUND: Status.NotFound,
  FEDERATION_NOT_FOUND: Status.NotFound,
  SERVICE_NOT_FOUND: Status.NotFound,
  PLUGIN_NOT_FOUND: Status.NotFound,
  WORKLOAD_NOT_FOUND: Status.NotFound,
  ALREADY_EXISTS: Status.AlreadyExists,
  FAILED_PRECONDITION: Status.FailedPrecondition,
  RATE_LIMITED: Status.ResourceExhausted,
  TOO_LARGE: Status.ResourceExhausted,
  DATASTORE_UNUSABLE: Status.FailedPrecondition,
  DATASTORE_UNAVAILABLE: Status.Unavailable,
  FILE_UNUSABLE: Status.FailedPrecondition,
  SOCKET_UNUSABLE: Status.FailedPrecondition,
  WORKLOAD_UNREADABLE: Status.FailedPrecondition,
  TPM_UNAVAILABLE: Status.Unavailable,
  SERVER_UNREACHABLE: Status.Unavailable,
  // plugins
  PLUGIN_NOT_LOADED: Status.FailedPrecondition,
  PLUGIN_EXITED: Status.Unavailable,
  PLUGIN_PROTOCOL: Status.Internal,
  // calls
  CANCELLED: Status.Cancelled,
  REPLACED: Status.Aborted,
  DEADLINE_EXCEEDED: Status.DeadlineExceeded,
  UNAVAILABLE: Status.Unavailable,
  UNIMPLEMENTED: Status.Unimplemented,
  INTERNAL: Status.Internal,
} as const satisfies Record<string, Status>;
export type ErrorCode = keyof typeof ERROR_STATUS;

/** An encoded protobuf message that travels in the details of a gRPC status. */
export interface ErrorDetail {
  /** Such as `type.googleapis.com/spire.api.types.PermissionDeniedDetails`. */
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

export interface SpiffeErrorOptions extends ErrorOptions {
  readonly details?: readonly ErrorDetail[];
}

/** `message` may travel to a remote peer; secrets and paths of the host belong in `cause`. */
export class SpiffeError extends Error {
  override readonly name = 'SpiffeError';
  readonly code: ErrorCode;
  readonly details: readonly ErrorDetail[];

  constructor(code: ErrorCode, message: string, options?: SpiffeErrorOptions) {
    super(message, options);
    this.code = code;
    this.details = options?.details ?? [];
  }

  /** The gRPC status code that a peer sees. */
  get status(): Status {
    return ERROR_STATUS[this.code];
  }
}

/** Tells whether `error` was raised on purpose, with this code where one is given. */
export function isSpiffeError(error: unknown, code?: ErrorCode): error is SpiffeError {
  return error instanceof SpiffeError && (code === undefined || error.code === code);
}

/** Of whatever was thrown: what an error says, or the value as text. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
