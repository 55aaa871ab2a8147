import { flag, optionalText, z } from '../../plugin-sdk/index.ts';
import { findAmbiguous, findPatternFault } from './cgroup-patterns.ts';
import { DOCKER_SOCKET, fillTemplate, findSocketPath, PODMAN_SOCKET } from './socket-address.ts';

const MAX_PATTERNS = 100;
const NO_SIGSTORE =
  'signatures of images are not verified here: remove the block, and choose images by docker:image_config_digest, which names the very content';

const address = (preset: string) =>
  optionalText.transform((text, ctx) => {
    const path = findSocketPath(text ?? preset);
    if (path !== undefined) return path;
    ctx.addIssue(`must be a Unix socket, such as "${preset}"`);
    return z.NEVER;
  });

const template = optionalText.refine((text) => text === undefined || isTemplate(text), {
  error:
    'must be a Unix socket with one %d for the number of the user, such as "unix:///run/user/%d/podman/podman.sock"',
});

function isTemplate(text: string): boolean {
  const filled = fillTemplate(text, 0);
  return filled !== undefined && findSocketPath(filled) !== undefined;
}

const pattern = z.string().superRefine((text, ctx) => {
  const fault = findPatternFault(text);
  if (fault !== undefined) ctx.addIssue(fault);
});

const patterns = z
  .array(pattern)
  .max(MAX_PATTERNS)
  .default([])
  .superRefine((all, ctx) => {
    const pair = findAmbiguous(all);
    if (pair === undefined) return;
    ctx.addIssue(`"${pair[0]}" and "${pair[1]}" fit the same path, so that it is open which part is the ID: keep one`);
  });

function refused(sentence: string) {
  return z
    .unknown()
    .refine((value) => value === undefined || value === '', { error: sentence })
    .optional();
}

/** Inventory P015. */
export const dockerConfig = z
  .strictObject({
    docker_socket_path: address(DOCKER_SOCKET),
    podman_socket_path: address(PODMAN_SOCKET),
    podman_socket_path_template: template,
    docker_version: optionalText.refine((text) => text === undefined || /^v?\d{1,3}\.\d{1,3}$/.test(text), {
      error: 'must be a version of Docker’s API, such as "1.41"',
    }),
    container_id_cgroup_matchers: patterns,
    use_new_container_locator: z.boolean().optional(),
    verbose_container_locator_logs: flag,
    docker_host: refused('is for Windows: set docker_socket_path'),
    sigstore: refused(NO_SIGSTORE),
    experimental: refused(NO_SIGSTORE),
  })
  .refine((config) => config.use_new_container_locator !== true || config.container_id_cgroup_matchers.length === 0, {
    path: ['container_id_cgroup_matchers'],
    error: 'takes the place of the new container locator: keep the one, or set use_new_container_locator = false',
  });
export type DockerConfig = z.output<typeof dockerConfig>;
