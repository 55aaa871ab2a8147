import { defineWorkloadAttestor, SpiffeError, type WorkloadContext } from '../../plugin-sdk/index.ts';
import { ProcessFolder } from '../process/process-folder.ts';
import { chooseRuntime, isNamedByRuntime, type Runtime } from './choose-runtime.ts';
import { type DockerConfig, dockerConfig } from './config.ts';
import { EngineClient } from './engine-client.ts';
import { inspectContainer } from './inspect-container.ts';
import { locateContainer } from './locate-container.ts';
import { requireMember } from './require-member.ts';
import { selectorsOf } from './selectors.ts';
import { fillTemplate, findSocketPath } from './socket-address.ts';

/** The configuration, and who is asked by it. */
class DockerState implements Disposable {
  readonly config: DockerConfig;
  readonly #docker: EngineClient;
  readonly #podman: EngineClient;
  readonly #stack = new DisposableStack();

  constructor(config: DockerConfig) {
    this.config = config;
    this.#docker = this.#stack.use(
      new EngineClient({
        name: 'Docker',
        socketPath: config.docker_socket_path,
        key: 'docker_socket_path',
        version: config.docker_version,
      }),
    );
    this.#podman = this.#stack.use(
      new EngineClient({ name: 'Podman', socketPath: config.podman_socket_path, key: 'podman_socket_path' }),
    );
  }

  /** @throws SpiffeError `ATTESTATION_DENIED` where a user's own Podman would be asked, and that is not configured */
  clientOf(runtime: Runtime): EngineClient {
    switch (runtime.kind) {
      case 'docker':
        return this.#docker;
      case 'podman':
        return this.#podman;
      case 'rootless podman':
        return this.#clientOfUser(runtime.uid);
    }
  }

  #clientOfUser(uid: number): EngineClient {
    const key = 'podman_socket_path_template';
    const { [key]: template } = this.config;
    const path = template === undefined ? undefined : findSocketPath(fillTemplate(template, uid) ?? '');
    if (path !== undefined) return new EngineClient({ name: 'Podman', socketPath: path, key });
    const whose = `the container belongs to user ${uid}, whose own Podman would say what it is, and could say anything`;
    throw new SpiffeError('ATTESTATION_DENIED', `${whose}: set ${key} if such users are trusted with that`);
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }
}

/** Tells which container of Docker or Podman a process is in. */
export const dockerWorkloadAttestor = defineWorkloadAttestor({
  name: 'docker',
  config: dockerConfig,
  configure: (config) => new DockerState(config),
  async attest(pid, state, context) {
    using process = ProcessFolder.open(pid);
    const values = await attest(process, state, context);
    process.requireAlive();
    return values;
  },
});

async function attest(
  process: ProcessFolder,
  state: DockerState,
  { log, signal }: WorkloadContext,
): Promise<readonly string[]> {
  const located = await locateContainer(process, state.config, (file, paths) => {
    if (state.config.verbose_container_locator_logs)
      log.debug('looked for a container', { pid: process.pid, file, paths: paths.join(' ') });
  });
  if (located === undefined) return [];
  const runtime = chooseRuntime(located);
  const client = state.clientOf(runtime);
  try {
    const container = await inspectContainer(client, located.containerId, signal);
    if (container !== undefined) {
      await requireMember(process, located, container);
      return selectorsOf(container);
    }
  } finally {
    if (runtime.kind === 'rootless podman') client[Symbol.dispose]();
  }
  if (!isNamedByRuntime(located)) return []; // containerd's or CRI-O's
  const missing = `${client.name} at ${client.socketPath} knows no container ${located.containerId}`;
  throw new SpiffeError(
    'WORKLOAD_UNREADABLE',
    `${missing}: is there another ${client.name}, with a socket of its own?`,
  );
}
