import type { Logger } from '../log/logger.ts';
import type { ServerStreamCall } from '../rpc/client.ts';
import { SpiffeError } from '../spiffe/error.ts';
import type { Plugin } from './plugin.ts';
import type { PluginGeneration } from './plugin-generation.ts';

/** A stream of a plugin whose first message is there. Disposing ends it. */
export interface Subscription<First, Update = First> extends AsyncDisposable {
  readonly first: First;
  /**
   * What came later, for one reader. It ends where the plugin has no more to say, which may be at once;
   * a failure has the plugin's prefix, whether the plugin's own or that its process has ended.
   */
  readonly updates: AsyncIterable<Update>;
}

export interface SubscribeOptions<Message, First, Update> {
  readonly open: (generation: PluginGeneration) => ServerStreamCall<Message>;
  readonly parseFirst: (message: Message) => First;
  /** What it throws is logged, and the message is skipped. */
  readonly parseUpdate: (message: Message) => Update;
  readonly log: Logger;
  /** Asking twice does no harm: the first message is waited for once more where the plugin ended before it. */
  readonly repeatable: boolean;
  readonly signal: AbortSignal;
}

/** SPIRE has none: it waits for the first message as long as its caller does. */
const FIRST_MESSAGE_DEADLINE_MS = 120_000;

/** @throws what the plugin answered, or what was wrong with its first message, with the plugin's prefix. */
export async function subscribe<Message, First, Update>(
  plugin: Plugin,
  options: SubscribeOptions<Message, First, Update>,
): Promise<Subscription<First, Update>> {
  return await plugin.run(async (generation) => await open(plugin, generation, options), {
    repeatable: options.repeatable,
    signal: options.signal,
  });
}

async function open<Message, First, Update>(
  plugin: Plugin,
  generation: PluginGeneration,
  options: SubscribeOptions<Message, First, Update>,
): Promise<Subscription<First, Update>> {
  const call = options.open(generation);
  try {
    const message = await receiveFirst(call);
    if (message === undefined) {
      throw new SpiffeError('PLUGIN_PROTOCOL', 'the plugin closed the stream before its first message');
    }
    return {
      first: options.parseFirst(message),
      updates: readUpdates(plugin, generation, call, options),
      [Symbol.asyncDispose]: () => call[Symbol.asyncDispose](),
    };
  } catch (error) {
    call.cancel();
    throw error;
  }
}

async function receiveFirst<Message>(call: ServerStreamCall<Message>): Promise<Message | undefined> {
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    call.cancel();
  }, FIRST_MESSAGE_DEADLINE_MS);
  try {
    return await call.receive();
  } catch (cause) {
    if (!late) throw cause;
    const message = `the plugin sent no message within ${FIRST_MESSAGE_DEADLINE_MS / 1_000} s`;
    throw new SpiffeError('DEADLINE_EXCEEDED', message, { cause });
  } finally {
    clearTimeout(timer);
  }
}

async function* readUpdates<Message, First, Update>(
  plugin: Plugin,
  generation: PluginGeneration,
  call: ServerStreamCall<Message>,
  { parseUpdate, log }: SubscribeOptions<Message, First, Update>,
): AsyncGenerator<Update, void, undefined> {
  try {
    for await (const message of call) {
      const update = parse(message, parseUpdate, log);
      if (update !== undefined) yield update;
    }
  } catch (error) {
    throw await plugin.explain(error, generation);
  }
}

function parse<Message, Update>(
  message: Message,
  parseUpdate: (message: Message) => Update,
  log: Logger,
): Update | undefined {
  try {
    return parseUpdate(message);
  } catch (error) {
    if (!(error instanceof SpiffeError)) throw error;
    log.warning('update of a plugin was skipped', { error: error.message });
    return undefined;
  }
}
