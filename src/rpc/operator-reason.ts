import { OperatorReason } from '../gen/assayer/plugin/v1/refusal.ts';
import { type ErrorCode, SpiffeError } from '../spiffe/error.ts';
import { RemoteError } from './status.ts';

const TYPE_URL = 'type.googleapis.com/assayer.plugin.v1.OperatorReason';
/** Details travel in a header, beside others. */
const MAX_REASON_BYTES = 1536;

/**
 * A refusal that says less to whoever is refused than to the operator.
 *
 * @param message for the peer
 * @param reason for the operator; cut where it is long
 */
export function refusalWith(code: ErrorCode, message: string, reason: string, options?: ErrorOptions): SpiffeError {
  const bytes = Buffer.from(reason, 'utf8');
  const cut = bytes.length <= MAX_REASON_BYTES ? reason : `${bytes.subarray(0, MAX_REASON_BYTES).toString('utf8')}…`;
  const value = OperatorReason.encode({ reason: cut.toWellFormed() }).finish();
  return new SpiffeError(code, message, { ...options, details: [{ typeUrl: TYPE_URL, value }] });
}

/** What an error says to the operator beyond its message. */
export function findOperatorReason(error: unknown): string | undefined {
  if (!(error instanceof SpiffeError || error instanceof RemoteError)) return undefined;
  const detail = error.details.find(({ typeUrl }) => typeUrl === TYPE_URL);
  if (detail === undefined) return undefined;
  try {
    return OperatorReason.decode(detail.value).reason;
  } catch {
    return undefined; // a plugin's broken details are nobody's reason
  }
}

/** The same error without what is for the operator alone. */
export function forPeer(error: unknown): unknown {
  if (findOperatorReason(error) === undefined) return error;
  if (error instanceof SpiffeError) {
    return new SpiffeError(error.code, error.message, { cause: error, details: error.details.filter(isForPeer) });
  }
  if (!(error instanceof RemoteError)) return error;
  return new RemoteError(error.status, error.message, error.details.filter(isForPeer), { cause: error });
}

const isForPeer = ({ typeUrl }: { readonly typeUrl: string }) => typeUrl !== TYPE_URL;
