import { parseCgroups } from '../container/cgroups.ts';
import { type ContainerPlace, findContainerPlace } from '../container/container-place.ts';
import { type FoundContainer, findContainer } from '../container/find-container.ts';
import { parseMountedCgroups } from '../container/mounted-cgroups.ts';
import type { ProcessFolder } from '../process/process-folder.ts';
import { findByPatterns } from './cgroup-patterns.ts';
import type { DockerConfig } from './config.ts';

/** A container that a process says it is in, or its cgroups. */
export interface LocatedContainer extends FoundContainer {
  /** `mounts`: by what the process has mounted, which may be anything. */
  readonly by: 'cgroups' | 'mounts';
}

export type LocateOptions = Pick<DockerConfig, 'container_id_cgroup_matchers' | 'use_new_container_locator'>;

/** @param note is told what was read. @returns undefined for a process in no container. */
export async function locateContainer(
  process: ProcessFolder,
  options: LocateOptions,
  note: (file: string, paths: readonly string[]) => void,
): Promise<LocatedContainer | undefined> {
  const { container_id_cgroup_matchers: patterns, use_new_container_locator: isNew = patterns.length === 0 } = options;
  const find = patterns.length > 0 ? findByPatterns(patterns) : isNew ? findContainerPlace : findByWord;
  const cgroups = parseCgroups(await process.readText('cgroup'));
  note(
    'cgroup',
    cgroups.map(({ path }) => path),
  );
  const found = findContainer(cgroups, find);
  if (found !== undefined) return { ...found, by: 'cgroups' };
  if (!isNew) return undefined;
  const mounted = parseMountedCgroups(await process.readText('mountinfo'));
  note(
    'mountinfo',
    mounted.map(({ path }) => path),
  );
  const seen = findContainer(mounted, find);
  return seen && { ...seen, by: 'mounts' };
}

/** The older rule: the word of the runtime has to stand somewhere before the ID. */
function findByWord(path: string): ContainerPlace | undefined {
  const place = findContainerPlace(path);
  return place !== undefined && /\b(?:docker|libpod)\b.*[0-9a-f]{64}/.test(place.path) ? place : undefined;
}
