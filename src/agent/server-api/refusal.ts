import { PermissionDeniedDetails, PermissionDeniedDetails_Reason as Reason } from '../../gen/spire/api/types/types.ts';
import { PluginError } from '../../plugin-host/plugin-error.ts';
import { RemoteError } from '../../rpc/status.ts';
import { Status } from '../../spiffe/status.ts';

/** Why the server turns this agent away for good. Inventory B006, B007. */
export type Refusal = 'banned' | 'evicted' | 'must_reattest';

const DETAILS_TYPE = 'spire.api.types.PermissionDeniedDetails';

/** The reason that the server gave with an error; undefined where it gave none. */
export function refusalOf(error: unknown): Refusal | undefined {
  if (!isOfServer(error)) return undefined;
  const detail = error.details.find(({ typeUrl }) => typeUrl.endsWith(`/${DETAILS_TYPE}`));
  if (detail === undefined) return undefined;
  switch (readReason(detail.value)) {
    case Reason.AGENT_BANNED:
      return 'banned';
    case Reason.AGENT_NOT_ATTESTED:
    case Reason.AGENT_NOT_ACTIVE:
    case Reason.AGENT_EXPIRED:
      return 'evicted';
    case Reason.AGENT_MUST_REATTEST:
      return 'must_reattest';
    default:
      return undefined;
  }
}

function readReason(value: Uint8Array): Reason {
  try {
    return PermissionDeniedDetails.decode(value).reason;
  } catch {
    return Reason.UNKNOWN; // broken details do not hide the error that they came with
  }
}

/** An answer that another attempt does not change. */
export function isVerdict(error: unknown): boolean {
  if (!isOfServer(error)) return false;
  const verdicts: readonly Status[] = [
    Status.PermissionDenied,
    Status.InvalidArgument,
    Status.NotFound,
    Status.FailedPrecondition,
  ];
  return verdicts.includes(error.status);
}

/** Whether the server, which was verified, said it. What a plugin of ours says is no word of it, whatever it looks like. */
export function isOfServer(error: unknown): error is RemoteError {
  return error instanceof RemoteError && !(error instanceof PluginError);
}
