import { HealthCheckResponse_ServingStatus, HealthDefinition } from '../../../gen/grpc/health/v1/health.ts';
import { GRPCControllerDefinition, GRPCStdioDefinition, StdioData_Channel } from '../../../gen/plugin/plugin.ts';
import { RpcChannel } from '../../../rpc/channel.ts';
import { createClient } from '../../../rpc/client.ts';
import type { ServiceDefinition } from '../../../rpc/definition.ts';
import { HEALTH_SERVICE_NAME, pluginServiceName } from '../../../rpc/go-plugin.ts';
import { Status } from '../../../spiffe/status.ts';
import { type FirstCall, firstCallOf } from '../kinds/first-call.ts';
import { expectAnything, expectRefusal, outcomeOf, statusName } from '../outcome.ts';
import { pause } from '../pause.ts';
import { Doubt, Mismatch, type Rule, requireThat } from '../rule.ts';
import { CALL_MS } from '../session.ts';
import type { Subject } from '../subject.ts';

/** gRPC's own limit, which a plugin may have on what it takes. */
const LARGE_BYTES = 4 * 1024 * 1024 - 1024;
const MANY_CALLS = 1_000;
/** Plugins whose calls are slow are called for so long. */
const MANY_CALLS_MS = 5_000;
const STREAM_MS = 300;
const CONCURRENT_CALLS = 20;

/** The gRPC connection, and what go-plugin serves on it. */
export const connectionRules: readonly Rule[] = [
  {
    id: 'rpc.connect',
    title: 'takes a gRPC connection in clear on its socket',
    source: '§4',
    level: 'must',
    needs: 'connection',
    opens: 'connection',
    async check(subject) {
      const session = await subject.session();
      await session.connection();
      return undefined;
    },
  },
  {
    id: 'rpc.health',
    title: 'says SERVING of the service "plugin" in grpc.health.v1.Health',
    source: '§4',
    level: 'must',
    needs: 'connection',
    async check(subject) {
      const client = await (await subject.session()).client(HealthDefinition);
      const outcome = await outcomeOf(client.check({ service: HEALTH_SERVICE_NAME }, { deadlineMs: CALL_MS }));
      if (!outcome.ok && outcome.status === Status.Unimplemented) {
        throw new Doubt(
          'expected SERVING, came UNIMPLEMENTED: SPIRE never asks, and hosts that ask take it to be well',
        );
      }
      if (!outcome.ok) throw new Mismatch('SERVING', `${statusName(outcome.status)} ${outcome.message}`);
      const { status } = outcome.answer;
      requireThat(status === HealthCheckResponse_ServingStatus.SERVING, 'SERVING (1)', String(status));
      return undefined;
    },
  },
  {
    id: 'rpc.unknown-method',
    title: 'answers UNIMPLEMENTED to a method that its service does not have',
    source: '§9',
    level: 'must',
    needs: 'connection',
    async check(subject) {
      const { side, type } = subject.options.kind;
      await expectRefusal(callUnknown(subject, pluginServiceName(side, type)), 'an unknown method', [
        Status.Unimplemented,
      ]);
      return undefined;
    },
  },
  {
    id: 'rpc.unknown-service',
    title: 'answers UNIMPLEMENTED to a service that it does not have',
    source: '§9',
    level: 'must',
    needs: 'connection',
    async check(subject) {
      await expectRefusal(callUnknown(subject, 'company.Nobody'), 'an unknown service', [Status.Unimplemented]);
      return undefined;
    },
  },
  {
    id: 'rpc.authority',
    title: 'does not look at :authority, of which a Go host says "unused"',
    source: '§4',
    level: 'must',
    needs: 'connection',
    async check(subject) {
      const { address } = (await subject.session()).trial.process.handshake;
      using channel = RpcChannel.unix(address, { authority: 'unused' });
      const check = createClient(HealthDefinition, channel).check(
        { service: HEALTH_SERVICE_NAME },
        { deadlineMs: CALL_MS },
      );
      const outcome = await outcomeOf(check);
      const isServed = outcome.ok || outcome.status === Status.Unimplemented;
      requireThat(isServed, 'an answer', outcome.ok ? '' : `${statusName(outcome.status)} ${outcome.message}`);
      return undefined;
    },
  },
  {
    id: 'rpc.large-message',
    title: 'takes a message of 4 MiB less 1 KiB',
    source: '§4',
    level: 'must',
    needs: 'connection',
    async check(subject) {
      const { address } = (await subject.session()).trial.process.handshake;
      using channel = RpcChannel.unix(address, { maxMessageBytes: -1 });
      const check = createClient(HealthDefinition, channel).check(
        { service: 'x'.repeat(LARGE_BYTES) },
        { deadlineMs: CALL_MS },
      );
      const outcome = await expectAnything(check, 'a message of almost 4 MiB');
      const refused: readonly Status[] = [Status.ResourceExhausted, Status.Unavailable, Status.Internal];
      const came = outcome.ok ? '' : `${statusName(outcome.status)} ${outcome.message}`;
      requireThat(outcome.ok || !refused.includes(outcome.status), 'that it is taken', came);
      return undefined;
    },
  },
  {
    id: 'rpc.garbage-message',
    title: 'answers bytes that are no message with an error, and goes on',
    source: '§9',
    level: 'must',
    needs: 'configured',
    async check(subject) {
      const session = await subject.ready();
      const { side, type } = subject.options.kind;
      const { method } = firstCallOf(subject.options.kind);
      const definition = garbageMethod(pluginServiceName(side, type), method);
      const calling = (await session.client(definition)).call({}, { deadlineMs: CALL_MS });
      await expectRefusal(calling, 'bytes that are no message');
      return undefined;
    },
  },
  {
    id: 'stdio.stream',
    title: 'keeps GRPCStdio.StreamStdio open, or is without it; what it streams is stdout and stderr',
    source: '§4',
    level: 'must',
    needs: 'connection',
    async check(subject) {
      const { address } = (await subject.start()).trial.process.handshake;
      using channel = RpcChannel.unix(address);
      await using stream = createClient(GRPCStdioDefinition, channel).streamStdio({});
      const first = stream.receive().then((data) => ({ data }));
      const outcome = await outcomeOf(Promise.race([first, pause(STREAM_MS)]));
      if (!outcome.ok) {
        const tolerated: readonly Status[] = [Status.Unimplemented, Status.Unavailable];
        const came = `${statusName(outcome.status)} ${outcome.message}`;
        requireThat(tolerated.includes(outcome.status), 'a stream or UNIMPLEMENTED', came);
        return 'it has no such stream: what it prints is not seen';
      }
      if (outcome.answer === undefined) return undefined;
      const { data } = outcome.answer;
      requireThat(data !== undefined, 'a stream that stays open', 'its end');
      const known = [StdioData_Channel.STDOUT, StdioData_Channel.STDERR].some((channel) => channel === data.channel);
      requireThat(known, 'channel 1 (stdout) or 2 (stderr)', `channel ${data.channel}`);
      return undefined;
    },
  },
  {
    id: 'stdio.no-block',
    title: 'does not come to a halt because of what it prints, however often it is called',
    source: '§4',
    level: 'must',
    needs: 'configured',
    async check(subject) {
      const call = await boundFirstCall(subject);
      const endsAtMs = performance.now() + MANY_CALLS_MS;
      let calls = 0;
      for (; calls < MANY_CALLS && performance.now() < endsAtMs; calls++) {
        await expectAnything(call(), `call ${calls + 1} of the same kind`);
      }
      return calls < MANY_CALLS ? `${calls} calls in ${MANY_CALLS_MS / 1_000} s` : undefined;
    },
  },
  {
    id: 'rpc.concurrent',
    title: 'answers calls that come at once',
    source: '§5',
    level: 'must',
    needs: 'configured',
    async check(subject) {
      const call = await boundFirstCall(subject);
      const expected = describe(await expectAnything(call(), 'a call'));
      const calls = Array.from({ length: CONCURRENT_CALLS }, () => expectAnything(call(), 'one of 20 calls at once'));
      const answers = new Set((await Promise.all(calls)).map(describe));
      answers.delete(expected);
      const came = [...answers].join(', ');
      requireThat(answers.size === 0, `${expected}, as for a single call`, came);
      return undefined;
    },
  },
];

const describe = (outcome: Awaited<ReturnType<typeof expectAnything>>) =>
  outcome.ok ? 'an answer' : statusName(outcome.status);

async function boundFirstCall(subject: Subject): Promise<() => ReturnType<FirstCall['call']>> {
  const session = await subject.ready();
  const connection = await session.connection();
  const { call } = firstCallOf(subject.options.kind);
  return () => call(connection);
}

async function callUnknown(subject: Subject, fullName: string): Promise<unknown> {
  const method = { ...GRPCControllerDefinition.methods.shutdown, name: 'NoSuchMethod' };
  const client = await (await subject.session()).client({ fullName, methods: { call: method } });
  return await client.call({}, { deadlineMs: CALL_MS });
}

/** A field of length-delimited bytes whose length goes far beyond the message's end. */
const GARBAGE = Uint8Array.of(0x0a, 0xff, 0xff, 0xff, 0xff, 0x07, 0xff);

function garbageMethod(fullName: string, name: string) {
  const empty = GRPCControllerDefinition.methods.shutdown;
  const requestType = { ...empty.requestType, encode: () => ({ finish: () => GARBAGE }) };
  return { fullName, methods: { call: { ...empty, name, requestType } } } satisfies ServiceDefinition;
}
