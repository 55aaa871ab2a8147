import { SpiffeError } from '../../plugin-sdk/index.ts';
import { parseCgroups } from '../container/cgroups.ts';
import type { ProcessFolder } from '../process/process-folder.ts';
import { openFirstProcess } from './first-process.ts';
import type { ContainerInspect } from './inspect-container.ts';
import type { LocatedContainer } from './locate-container.ts';

/**
 * Makes sure that a process is in the container whose ID its cgroups or its mounts have. A user who may make cgroups can give
 * his own the name of anybody's container, and mount whatever he likes; but the cgroups of the container's first process, which
 * the runtime knows, are not his, nor is its mount namespace.
 *
 * @throws SpiffeError `ATTESTATION_DENIED`
 */
export async function requireMember(
  process: ProcessFolder,
  located: LocatedContainer,
  container: ContainerInspect,
): Promise<void> {
  const { Id: id } = container;
  if (/^[0-9a-f]{64}$/.test(located.containerId) && located.containerId !== id) {
    throw new SpiffeError(
      'ATTESTATION_DENIED',
      `asked for container ${located.containerId}, its runtime told of ${id}`,
    );
  }
  using first = await openFirstProcess(container);
  const isMember = located.by === 'cgroups' ? hasSameCgroups : hasSameMounts;
  if (await isMember(process, located, first)) return first.requireAlive();
  const named = `the ${located.by} of process ${process.pid} name container ${id}`;
  const others = `they are not those of process ${first.pid}, which its runtime says is the container’s first`;
  throw new SpiffeError(
    'ATTESTATION_DENIED',
    `${named}, but ${others}: the agent has to see processes by the same numbers as the runtime`,
  );
}

async function hasSameCgroups(
  _process: ProcessFolder,
  { places }: LocatedContainer,
  first: ProcessFolder,
): Promise<boolean> {
  const cgroups = parseCgroups(await first.readText('cgroup'));
  return places.every(({ hierarchy, path }) =>
    cgroups.some((own) => own.hierarchy === hierarchy && (own.path === path || own.path.startsWith(`${path}/`))),
  );
}

async function hasSameMounts(
  process: ProcessFolder,
  _located: LocatedContainer,
  first: ProcessFolder,
): Promise<boolean> {
  return process.readLink('ns/mnt') === first.readLink('ns/mnt');
}
