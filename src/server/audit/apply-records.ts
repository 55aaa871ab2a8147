import {
  type ApplyEntriesRequest,
  type ApplyEntriesResponse,
  Change_Kind as Kind,
} from '../../gen/assayer/server/apply/v1/apply.ts';
import type { LogFields } from '../../log/logger.ts';
import { Status } from '../../spiffe/status.ts';
import type { ItemRecord } from './call-descriptions.ts';
import { entryFields, nameOf } from './entry-fields.ts';

const OK = { code: Status.Ok, message: '' };

export function applyFields({ options }: ApplyEntriesRequest): LogFields {
  if (options === undefined) return {};
  const { set, prune, adopt, dryRun } = options;
  return { set, prune, adopt, dry_run: dryRun };
}

/** One for each entry that was changed, or would be; where there is none, one for the call. */
export function applyRecords(
  request: ApplyEntriesRequest,
  { changes, unchanged, problems }: ApplyEntriesResponse,
): readonly ItemRecord[] {
  const whole = applyFields(request);
  if (changes.length === 0) return [{ fields: { ...whole, unchanged, problems: problems.length }, status: OK }];
  return changes.map(({ kind, before, after, fields }) => {
    const entry = after ?? before;
    return {
      fields: {
        ...whole,
        change: nameOf(Kind, kind).toLowerCase(),
        changed_fields: fields.length === 0 ? undefined : fields.join(','),
        ...(entry && entryFields(entry, undefined)),
      },
      status: OK,
    };
  });
}
