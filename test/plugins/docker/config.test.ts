import { describe, expect, test } from 'vitest';
import { readConfigText } from '../../../src/config/read-config.ts';
import { dockerConfig } from '../../../src/plugins/docker/config.ts';
import { dockerManifest } from '../../../src/plugins/docker/manifest.ts';
import { fillTemplate } from '../../../src/plugins/docker/socket-address.ts';

const read = (text: string) => readConfigText(dockerConfig, text, { source: 'plugin_data' });

test('nothing has to be said', () => {
  expect(read('')).toEqual({
    docker_socket_path: '/var/run/docker.sock',
    podman_socket_path: '/run/podman/podman.sock',
    container_id_cgroup_matchers: [],
    verbose_container_locator_logs: false,
  });
});

test('everything that SPIRE has for Linux, but signatures', () => {
  const text = `
    docker_socket_path = "unix:///a/docker.sock"
    podman_socket_path = "/a/podman.sock"
    podman_socket_path_template = "unix:///run/user/%d/podman/podman.sock"
    docker_version = "1.41"
    container_id_cgroup_matchers = ["/docker/<id>", "/my.slice/*/<id>/*"]
    use_new_container_locator = false
    verbose_container_locator_logs = true
    docker_host = ""
  `;
  expect(read(text)).toMatchObject({
    docker_socket_path: '/a/docker.sock',
    podman_socket_path: '/a/podman.sock',
    docker_version: '1.41',
    use_new_container_locator: false,
  });
});

describe('a mistake is told by its key', () => {
  test.each([
    ['docker_socket_path = "tcp://127.0.0.1:2375"', 'docker_socket_path: must be a Unix socket, such as'],
    ['podman_socket_path = "unix://relative"', 'podman_socket_path: must be a Unix socket, such as'],
    [
      'podman_socket_path_template = "unix:///run/podman.sock"',
      'podman_socket_path_template: must be a Unix socket with one %d',
    ],
    ['podman_socket_path_template = "unix:///%d/%d"', 'with one %d'],
    ['podman_socket_path_template = "unix:///%d/%s"', 'with one %d'],
    ['docker_version = "latest"', 'docker_version: must be a version of Docker’s API, such as "1.41"'],
    ['docker_version = "1.41/../.."', 'docker_version: must be a version'],
    [
      'container_id_cgroup_matchers = ["/docker/*"]',
      'container_id_cgroup_matchers[0]: must have <id> as one whole part',
    ],
    ['container_id_cgroup_matchers = ["/<id>/<id>"]', 'must have <id> as one whole part'],
    ['container_id_cgroup_matchers = ["/docker-<id>.scope"]', 'must have <id> as one whole part'],
    ['container_id_cgroup_matchers = ["docker/<id>"]', 'must begin with a slash'],
    ['container_id_cgroup_matchers = ["/a/b/<id>", "/*/b/<id>"]', '"/a/b/<id>" and "/*/b/<id>" fit the same path'],
    [
      'container_id_cgroup_matchers = ["/<id>"]\nuse_new_container_locator = true',
      'or set use_new_container_locator = false',
    ],
    ['docker_host = "npipe:////./pipe/docker_engine"', 'docker_host: is for Windows: set docker_socket_path'],
    ['sigstore { ignore_tlog = true }', 'sigstore: signatures of images are not verified here'],
    ['experimental { sigstore {} }', 'experimental: signatures of images are not verified here'],
    ['socket = "x"', 'socket: is not a known key'],
  ])('%s', (text, message) => {
    expect(() => read(text)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining(message) }),
    );
  });
});

test.each([
  ['/run/user/%d/podman.sock', '/run/user/1000/podman.sock'],
  ['/100%%/%d', '/100%/1000'],
  ['/%%d/%d', '/%d/1000'],
  ['/%d%', undefined],
  ['/%x/%d', undefined],
  ['/%%d', undefined],
])('%s filled in is %s', (template, filled) => {
  expect(fillTemplate(template, 1000)).toBe(filled);
});

describe('the sandbox', () => {
  test('shows the folders of the sockets', () => {
    expect(dockerManifest('')?.readable).toEqual(['/var/run', '/run']);
    const text = 'docker_socket_path = "unix:///a/docker.sock"\npodman_socket_path = "unix:///b/podman.sock"';
    expect(dockerManifest(text)?.readable).toEqual(['/a', '/b']);
  });

  test('is not known where each user has a socket', () => {
    expect(dockerManifest('podman_socket_path_template = "unix:///run/user/%d/x"')).toBeUndefined();
  });
});
