import { PLUGIN_ENVIRONMENT } from '../rpc/go-plugin.ts';
import { messageOf } from '../spiffe/error.ts';
import { hclogSink } from './hclog.ts';
import type { Plugin } from './plugin.ts';
import { PluginServer } from './plugin-server.ts';

const HOST_POLL_MS = 1000;

/**
 * Runs a plugin in this process until its host ends it. The last line of a plugin's entry file.
 *
 * Standard output carries the handshake and nothing else; what is printed later reaches the host's log.
 */
export async function servePlugin(plugin: Plugin): Promise<void> {
  const writeHandshake = process.stdout.write.bind(process.stdout);
  try {
    const server = await PluginServer.start(plugin, {
      environment: process.env,
      logSink: hclogSink((line) => void process.stderr.write(line)),
      onShutdown: () => void stop(),
    });
    const isAttachedTo = Boolean(process.env[PLUGIN_ENVIRONMENT.attachedSocket]);
    let stopping = false;
    const stop = async () => {
      if (stopping) return;
      stopping = true;
      await server[Symbol.asyncDispose]();
      process.exit(0);
    };
    // A terminal sends it to the whole group: the host decides, where it is the host that started the plugin.
    process.on('SIGINT', () => {
      if (isAttachedTo) void stop();
    });
    process.on('SIGTERM', () => void stop());
    if (!isAttachedTo) whenHostIsGone(() => void stop());
    server.stdio.redirect(process.stdout);
    writeHandshake(`${server.handshake}\n`);
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`);
    process.exit(1);
  }
}

/** A host that is killed cannot end its plugins; the kernel gives them another parent then. */
function whenHostIsGone(stop: () => void): void {
  const host = process.ppid;
  setInterval(() => {
    if (process.ppid !== host) stop();
  }, HOST_POLL_MS).unref();
}
