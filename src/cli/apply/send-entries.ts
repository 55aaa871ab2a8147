import type {
  ApplyDefinition,
  ApplyEntriesRequest,
  ApplyEntriesResponse,
  Options,
} from '../../gen/assayer/server/apply/v1/apply.ts';
import { Entry } from '../../gen/spire/api/types/types.ts';
import type { Client } from '../../rpc/client.ts';
import { SpiffeError } from '../../spiffe/error.ts';

/** A server takes messages of 4 MiB. */
const BYTES_A_MESSAGE = 1024 * 1024;

/** Sends entries in as many messages as they need. @returns what was done or would be */
export async function sendEntries(
  client: Client<typeof ApplyDefinition>,
  options: Options,
  entries: readonly Entry[],
): Promise<ApplyEntriesResponse> {
  await using call = client.applyEntries();
  let request: ApplyEntriesRequest = { options, entries: [] };
  let bytes = 0;
  for (const entry of entries) {
    bytes += Entry.encode(entry).finish().length;
    if (bytes > BYTES_A_MESSAGE && request.entries.length > 0) {
      await call.send(request);
      request = { options: undefined, entries: [] };
      bytes = 0;
    }
    request.entries.push(entry);
  }
  await call.send(request);
  call.end();
  const answer = await call.receive();
  if (answer === undefined) throw new SpiffeError('INTERNAL', 'the server ended the call without an answer');
  return answer;
}
