import { ConnInfo, GRPCBrokerDefinition } from '../../src/gen/plugin/plugin.ts';
import type { CallContext } from '../../src/rpc/call.ts';
import { bindService } from '../../src/rpc/service.ts';
import { isSpiffeError } from '../../src/spiffe/error.ts';
import type { RawClient } from './any-authority/raw-client.ts';
import { call, frame, refusals, seen, serve, untilAborted } from './watched-server.ts';

// A server whose callers send as many requests as they like, and the frames to do so with.

/** How the streams of requests have ended for their handlers. */
export const ends: unknown[] = [];
let held = Promise.withResolvers<void>();
/** To be called before each test, with `forget`. */
export function startOver(): void {
  ends.length = 0;
  held = Promise.withResolvers();
}
/** Lets handlers go on that were asked to `hold`. */
export const release = () => held.resolve();

async function act(what: string, context: CallContext): Promise<void> {
  seen.handled.push(what);
  const refusal = refusals.get(what);
  if (refusal !== undefined) throw refusal;
  if (what === 'hold') await held.promise;
  if (what === 'wait') await untilAborted(context);
}

/** Every request is answered with what it says, and the last with `bye`; some say what is to be done first. */
const service = bindService(
  {
    ...GRPCBrokerDefinition,
    methods: {
      ...GRPCBrokerDefinition.methods,
      gather: { ...GRPCBrokerDefinition.methods.startStream, name: 'Gather', responseStream: false },
    },
  } as const,
  {
    async *startStream(requests, context) {
      seen.contexts.push(context);
      const aborted = () => seen.aborted.push('signal');
      context.signal.addEventListener('abort', aborted);
      try {
        if (context.metadata.findText('greet') !== undefined) yield answer('hello');
        for await (const { address } of requests) {
          await act(address, context);
          if (address === 'leave') return;
          if (address === 'flood') {
            for (let count = 0; count < 100_000; count += 1) {
              seen.handled.push('flood');
              yield answer('flood');
            }
          }
          yield answer(address);
        }
        ends.push('clean');
        yield answer('bye');
      } catch (error) {
        ends.push(isSpiffeError(error) ? error.code : error);
        throw error;
      } finally {
        context.signal.removeEventListener('abort', aborted);
        seen.aborted.push('finally');
      }
    },
    async gather(requests, context) {
      const all = [];
      for await (const { address } of requests) {
        await act(address, context);
        if (address === 'leave') break;
        all.push(address);
      }
      return answer(all.join(' '));
    },
  },
);

const answer = (address: string) => ConnInfo.fromPartial({ address });

export const serveTalk = (at: string, maxRequestBytes?: number) => serve(at, [service], maxRequestBytes);

/** The headers of a call whose requests and answers come as they like. */
export const talk = (streamId: number, replaced = {}) =>
  call(streamId, { ':path': '/plugin.GRPCBroker/StartStream', ...replaced });
/** The headers of a call with many requests and one answer. */
export const gather = (streamId: number, replaced = {}) =>
  call(streamId, { ':path': '/plugin.GRPCBroker/Gather', ...replaced });

/** A request's frame. */
export const say = (what: string): Buffer => frame(Buffer.from(ConnInfo.encode(answer(what)).finish()));

/** What a call was answered until now. */
export function heard(client: RawClient, streamId: number): string[] {
  const answers: string[] = [];
  for (let rest = client.dataOf(streamId); rest.length >= 5; ) {
    const end = 5 + rest.readUInt32BE(1);
    if (rest.length < end) break;
    answers.push(ConnInfo.decode(rest.subarray(5, end)).address);
    rest = rest.subarray(end);
  }
  return answers;
}

/** How many bytes more a call may send, by what it was told: of a stream, or of the connection. */
export const restored = (client: RawClient, streamId: number): number =>
  client.frames
    .filter(({ type, streamId: id }) => type === 0x8 && id === streamId)
    .reduce((sum, { payload }) => sum + payload.readUInt32BE(), 0);
