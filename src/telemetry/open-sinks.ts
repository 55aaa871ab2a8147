import type { TelemetryConfig } from '../config/telemetry-config.ts';
import type { Logger } from '../log/logger.ts';
import { M3Writer } from './m3-writer.ts';
import type { Metrics } from './metrics.ts';
import { PushSink } from './push-sink.ts';
import { StatsdWriter } from './statsd-writer.ts';
import { UdpSender } from './udp-sender.ts';

export interface OpenSinksOptions {
  readonly config: TelemetryConfig;
  readonly program: 'server' | 'agent';
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** Everything that metrics are pushed to: inventory C148, C150, C151. Disposing sends what is left. */
export function openSinks({ config, program, metrics, log }: OpenSinksOptions): Disposable {
  const stack = new DisposableStack();
  for (const statsd of config.statsd) {
    const sender = stack.use(new UdpSender(statsd, log));
    stack.use(new PushSink(metrics, new StatsdWriter('statsd', (packet) => sender.send(packet))));
  }
  for (const dogStatsd of config.dogStatsd) {
    const sender = stack.use(new UdpSender(dogStatsd, log));
    stack.use(new PushSink(metrics, new StatsdWriter('dogstatsd', (packet) => sender.send(packet))));
  }
  for (const m3 of config.m3) {
    const sender = stack.use(new UdpSender(m3, log));
    const send = (packet: Uint8Array) => sender.send(packet);
    stack.use(new PushSink(metrics, new M3Writer({ service: `spire_${program}`, env: m3.env, send })));
  }
  return stack;
}
