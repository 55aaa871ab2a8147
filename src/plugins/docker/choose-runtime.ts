import type { FoundContainer } from '../container/find-container.ts';

/** Who is to be asked about a container. */
export type Runtime =
  | { readonly kind: 'docker' }
  | { readonly kind: 'podman' }
  /** Podman without root: each user has a service of his own. */
  | { readonly kind: 'rootless podman'; readonly uid: number };

const PODMAN = /\/libpod(?:_parent\/|-)/;
/** The outermost: what is below it the user names as he likes. */
const USER_SLICE = /\/user-(\d{1,10})\.slice(?:\/|$)/;

/** By the paths of its cgroups; where some are Podman's, Podman. */
export function chooseRuntime({ places }: FoundContainer): Runtime {
  const ofPodman = places.filter(({ path }) => PODMAN.test(path));
  if (ofPodman.length === 0) return { kind: 'docker' };
  const [, uid] = ofPodman.map(({ path }) => USER_SLICE.exec(path)).find((match) => match !== null) ?? [];
  return uid === undefined ? { kind: 'podman' } : { kind: 'rootless podman', uid: Number(uid) };
}

/** Whether the paths themselves tell whose container it is; any other runtime's has an ID of the same form. */
export function isNamedByRuntime({ places }: FoundContainer): boolean {
  return places.some(({ path }) => PODMAN.test(path) || /\bdocker\b/.test(path));
}
