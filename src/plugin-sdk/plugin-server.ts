import { randomInt } from 'node:crypto';
import { chmod, chown, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { TracesDefinition } from '../gen/assayer/hostservice/traces/v1/traces.ts';
import { GRPCControllerDefinition } from '../gen/plugin/plugin.ts';
import { Logger, type LogSink } from '../log/logger.ts';
import { type AutoMtls, createAutoMtls } from '../rpc/auto-mtls.ts';
import { APP_PROTOCOL_VERSION, CORE_PROTOCOL_VERSION, PLUGIN_ENVIRONMENT } from '../rpc/go-plugin.ts';
import { formatHandshake } from '../rpc/handshake.ts';
import { RpcServer } from '../rpc/server.ts';
import { type BoundService, bindService } from '../rpc/service.ts';
import { removeStaleSocket } from '../rpc/stale-socket.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { quoteText } from '../spiffe/quote-text.ts';
import { PluginBroker } from './broker.ts';
import { endConfigurations } from './configuration.ts';
import { pluginHealth } from './health.ts';
import { HostServices } from './host-services.ts';
import { initService } from './init.ts';
import type { Plugin } from './plugin.ts';
import { PluginTracer } from './plugin-tracer.ts';
import { PluginStdio } from './stdio.ts';

export interface PluginServerOptions {
  /** The variables of the contract; a process passes its environment. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly logSink: LogSink;
  /** Called when the host asks the plugin to end. */
  readonly onShutdown: () => void;
}

const REPORT_MS = 1_000;

/** A plugin that serves on a socket of its own; disposing removes the socket. */
export class PluginServer implements AsyncDisposable {
  /** The line for the host, without its line feed. */
  readonly handshake: string;
  readonly stdio: PluginStdio;
  readonly #listener: Server;
  readonly #server: RpcServer;
  readonly #host: HostServices;
  readonly #path: string;
  readonly #services: readonly BoundService[];

  private constructor(
    handshake: string,
    parts: {
      stdio: PluginStdio;
      listener: Server;
      server: RpcServer;
      host: HostServices;
      path: string;
      services: readonly BoundService[];
    },
  ) {
    this.handshake = handshake;
    this.stdio = parts.stdio;
    this.#listener = parts.listener;
    this.#server = parts.server;
    this.#host = parts.host;
    this.#path = parts.path;
    this.#services = parts.services;
  }

  /** @throws SpiffeError `PLUGIN_PROTOCOL` where the environment is not that of a host for this kind of plugin. */
  static async start(plugin: Plugin, { environment, logSink, onShutdown }: PluginServerOptions): Promise<PluginServer> {
    requireHost(plugin, environment);
    const hostCertificate = environment[PLUGIN_ENVIRONMENT.clientCertificate];
    const autoMtls = hostCertificate ? await createAutoMtls(hostCertificate) : undefined;
    const broker = new PluginBroker();
    const stdio = new PluginStdio();
    const host = new HostServices(broker, autoMtls && ((path) => autoMtls.openChannel(path)));
    const log = new Logger(logSink, 'trace');
    const tracer = new PluginTracer(() => {
      if (!host.names.includes(TracesDefinition.fullName)) return undefined;
      return async (spans) => await (await host.traces()).report({ spans }, { deadlineMs: REPORT_MS });
    });
    host.follow(tracer);
    const services = plugin.bind({ log, host });
    const controller = bindService(GRPCControllerDefinition, {
      async shutdown() {
        setImmediate(onShutdown); // after the answer, where it still gets through
        return {};
      },
    });
    const server = RpcServer.create({
      services: [
        ...services,
        initService(services, host, tracer),
        pluginHealth,
        broker.service,
        stdio.service,
        controller,
      ],
      log,
      tracer,
      maxRequestBytes: -1,
      graceMs: 200,
    });
    const path = await socketPath(environment);
    const listener = await listen(path, environment, (socket) => accept(socket, server, autoMtls));
    const handshake = formatHandshake({
      coreVersion: CORE_PROTOCOL_VERSION,
      protocolVersion: APP_PROTOCOL_VERSION,
      network: 'unix',
      address: path,
      protocol: 'grpc',
      ...(autoMtls === undefined ? {} : { certificate: autoMtls.certificate }),
      ...(environment[PLUGIN_ENVIRONMENT.multiplex] ? { multiplexed: false } : {}),
    });
    return new PluginServer(handshake, { stdio, listener, server, host, path, services });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    this.#host[Symbol.dispose]();
    await this.#server[Symbol.asyncDispose]();
    await endConfigurations(this.#services).catch(() => {}); // nobody is there to be told
    await rm(this.#path, { force: true });
  }
}

/** Not security: it tells a person who starts a plugin by hand that a host has to. */
function requireHost(plugin: Plugin, environment: PluginServerOptions['environment']): void {
  if (environment[plugin.type] !== plugin.type) {
    throw new SpiffeError(
      'PLUGIN_PROTOCOL',
      `this is the ${plugin.side} plugin ${plugin.type} "${plugin.name}", which a host has to start: name it as plugin_cmd in a configuration file`,
    );
  }
  const versions = environment[PLUGIN_ENVIRONMENT.protocolVersions];
  if (versions !== undefined && versions !== '' && !versions.split(',').includes(String(APP_PROTOCOL_VERSION))) {
    throw new SpiffeError(
      'PLUGIN_PROTOCOL',
      `the host speaks the protocol versions ${JSON.stringify(versions)}, this plugin 1`,
    );
  }
}

function socketFolder(environment: PluginServerOptions['environment']): string {
  return environment[PLUGIN_ENVIRONMENT.socketFolder] || environment.TMPDIR || tmpdir();
}

/** A name of its own, or the one that a host was told: there a socket that nobody listens on any more is removed. */
async function socketPath(environment: PluginServerOptions['environment']): Promise<string> {
  const path = environment[PLUGIN_ENVIRONMENT.attachedSocket];
  if (!path) return join(socketFolder(environment), `plugin${randomInt(2 ** 40)}`);
  if (!isAbsolute(path)) {
    throw new SpiffeError(
      'PLUGIN_PROTOCOL',
      `${PLUGIN_ENVIRONMENT.attachedSocket} is ${quoteText(path)}, which is not an absolute path`,
    );
  }
  await removeStaleSocket(path);
  return path;
}

async function listen(
  path: string,
  environment: PluginServerOptions['environment'],
  onConnection: (socket: Socket) => void,
): Promise<Server> {
  const listener = createServer(onConnection);
  await new Promise<void>((resolve, reject) => {
    listener.once('error', reject);
    listener.listen(path, resolve);
  });
  const group = environment[PLUGIN_ENVIRONMENT.socketGroup];
  if (group) await shareWithGroup(path, group);
  return listener;
}

async function shareWithGroup(path: string, group: string): Promise<void> {
  if (!/^[0-9]{1,9}$/.test(group)) {
    throw new SpiffeError('PLUGIN_PROTOCOL', `the group of the socket, ${JSON.stringify(group)}, is not a number`);
  }
  await chown(path, -1, Number(group));
  await chmod(path, 0o660);
}

function accept(socket: Socket, server: RpcServer, autoMtls: AutoMtls | undefined): void {
  if (autoMtls === undefined) server.accept(socket, { kind: 'plugin' });
  else autoMtls.acceptSocket(socket, (secured) => server.accept(secured, { kind: 'plugin' }));
}
