/** What SPIRE's configuration has where nothing is said. */
export const DOCKER_SOCKET = 'unix:///var/run/docker.sock';
export const PODMAN_SOCKET = 'unix:///run/podman/podman.sock';

/** `unix:///run/docker.sock`, or the path alone → the path; undefined for an address of any other kind. */
export function findSocketPath(address: string): string | undefined {
  const path = address.replace(/^unix:(?:\/\/)?(?=\/(?!\/))/, '');
  return path.startsWith('/') && !path.includes('\0') ? path : undefined;
}

/**
 * Puts a user's number where a template has `%d`; `%%` stands for a percent sign.
 *
 * @returns undefined where the template has not one `%d`, or has another `%`.
 */
export function fillTemplate(template: string, uid: number): string | undefined {
  const verbs = template.match(/%./g) ?? [];
  const isKnown = verbs.every((verb) => verb === '%d' || verb === '%%') && !/%$/.test(template.replaceAll('%%', ''));
  if (!isKnown || verbs.filter((verb) => verb === '%d').length !== 1) return undefined;
  return template.replace(/%[d%]/g, (verb) => (verb === '%d' ? String(uid) : '%'));
}
