import { dirname } from 'node:path';
import { findSettings } from '../../config/read-setting.ts';
import type { SandboxManifest } from '../../config/sandbox-config.ts';
import { DOCKER_SOCKET, findSocketPath, PODMAN_SOCKET } from './socket-address.ts';

/**
 * The processes of everybody, and the sockets, by way of their folders: sockets are made anew at every start of who listens.
 * The folder of Podman's is missing until it first ran, so the one above is shown. The host's user, who may use the sockets.
 *
 * @returns undefined where each user's own socket is asked: their folders are mounted when they log in, which nobody sees
 *   whose view of the file system was made before.
 */
export function dockerManifest(data: string): SandboxManifest | undefined {
  const keys = ['docker_socket_path', 'podman_socket_path', 'podman_socket_path_template'] as const;
  const settings = findSettings(data, keys);
  if (settings.has('podman_socket_path_template')) return undefined;
  const folderOf = (address: string) => dirname(findSocketPath(address) ?? '/nowhere/socket');
  const podman = settings.get('podman_socket_path');
  return {
    user: 'host',
    network: 'unix',
    readable: [
      folderOf(settings.get('docker_socket_path') ?? DOCKER_SOCKET),
      podman === undefined ? dirname(folderOf(PODMAN_SOCKET)) : folderOf(podman),
    ],
    capabilities: ['SYS_PTRACE'],
    allProcesses: true,
  };
}
