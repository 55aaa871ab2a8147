import { type ContainerPlace, findContainerPlace } from '../container/container-place.ts';

const ANY = '*';
const ID = '<id>';
/** What a container may be called by its runtime; it becomes a part of the path of a request. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;

/** Why a text is no pattern, such as `/docker/<id>`. */
export function findPatternFault(pattern: string): string | undefined {
  if (!pattern.startsWith('/')) return 'must begin with a slash, as the paths of cgroups do';
  const ids = pattern.split('/').filter((name) => name === ID).length;
  return ids === 1 ? undefined : `must have ${ID} as one whole part between slashes, once, such as "/docker/${ID}"`;
}

/** Two patterns that fit one path. */
export function findAmbiguous(patterns: readonly string[]): readonly [string, string] | undefined {
  for (const [index, one] of patterns.entries()) {
    const other = patterns.slice(index + 1).find((next) => fitTogether(one.split('/'), next.split('/')));
    if (other !== undefined) return [one, other];
  }
  return undefined;
}

/**
 * A finder that knows the paths of these patterns alone: `*` stands for one part, `<id>` for the one that is the container's
 * ID, or has it.
 */
export function findByPatterns(patterns: readonly string[]): (path: string) => ContainerPlace | undefined {
  const all = patterns.map((pattern) => pattern.split('/'));
  return (path) => {
    const names = path.split('/');
    const pattern = all.find((parts) => fits(parts, names));
    if (pattern === undefined) return undefined;
    const index = pattern.indexOf(ID);
    const name = names[index] ?? '';
    const containerId = findContainerPlace(`/${name}`)?.containerId ?? name;
    return NAME.test(containerId) ? { containerId, path: names.slice(0, index + 1).join('/') } : undefined;
  };
}

function fits(pattern: readonly string[], names: readonly string[]): boolean {
  return pattern.length === names.length && pattern.every((part, i) => isOpen(part) || part === names[i]);
}

function fitTogether(one: readonly string[], other: readonly string[]): boolean {
  return (
    one.length === other.length && one.every((part, i) => part === other[i] || isOpen(part) || isOpen(other[i] ?? ''))
  );
}

function isOpen(part: string): boolean {
  return part === ANY || part === ID;
}
