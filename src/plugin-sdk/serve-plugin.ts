import { hclogSink } from './hclog.ts';
import type { Plugin } from './plugin.ts';
import { PluginServer } from './plugin-server.ts';

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
    let stopping = false;
    const stop = async () => {
      if (stopping) return;
      stopping = true;
      await server[Symbol.asyncDispose]();
      process.exit(0);
    };
    process.on('SIGINT', () => {}); // a terminal sends it to the whole group; the host decides
    process.on('SIGTERM', () => void stop());
    server.stdio.redirect(process.stdout);
    writeHandshake(`${server.handshake}\n`);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  }
}
