import type { SandboxNetwork } from '../../config/sandbox-config.ts';
import type { Sighting } from '../../plugin-host/sandbox/sightings.ts';
import type { Note } from './suggestion.ts';

/** Families of sockets, as socket(2) numbers them. */
const FAMILY_NAMES: ReadonlyMap<number, string> = new Map([
  [2, 'IPv4'],
  [10, 'IPv6'],
  [16, 'netlink'],
  [17, 'packet'],
  [38, 'crypto'],
  [40, 'vsock'],
]);
const AF_UNIX = 1;
const INTERNET = [2, 10];
const AF_NETLINK = 16;

/** Unix sockets that have a path need no network; nor does a socket that is made and never used. */
export function suggestNetwork(sightings: readonly Sighting[]): {
  readonly network: SandboxNetwork;
  readonly notes: readonly Note[];
} {
  // Port 0 is how runtimes find out what the kernel can do.
  const isUse = (sighting: Extract<Sighting, { what: 'address' }>) => sighting.access !== 'bind' || sighting.port !== 0;
  const addresses = sightings.filter((sighting) => sighting.what === 'address').filter(isUse);
  const families = [...new Set(sightings.flatMap((sighting) => (sighting.what === 'socket' ? [sighting.family] : [])))];
  const others = families.filter((family) => ![AF_UNIX, AF_NETLINK, ...INTERNET].includes(family));
  if (addresses.length > 0 || others.length > 0) {
    const used = [
      ...addresses.map(({ access, ip, port }) => `${access} ${ip.includes(':') ? `[${ip}]` : ip}:${port}`),
      ...others.map((family) => `a socket of the family ${FAMILY_NAMES.get(family) ?? family}`),
    ];
    const more = used.length > MAX_NAMED ? ` and ${used.length - MAX_NAMED} more` : '';
    return { network: 'all', notes: [{ about: 'network', message: `${used.slice(0, MAX_NAMED).join(', ')}${more}` }] };
  }
  const idle = families.filter((family) => family !== AF_UNIX);
  const names = idle.map((family) => FAMILY_NAMES.get(family) ?? String(family)).join(', ');
  const notes: readonly Note[] =
    idle.length === 0
      ? []
      : [{ about: 'network', message: `it made sockets of the family ${names} and connected none: they are left out` }];
  const abstract = sightings.find((sighting) => sighting.what === 'abstract');
  if (abstract === undefined) return { network: 'none', notes };
  const message = `it used the abstract Unix socket ${JSON.stringify(abstract.name)}`;
  return { network: 'unix', notes: [...notes, { about: 'network', message }] };
}

const MAX_NAMED = 5;
