import { randomUUID } from 'node:crypto';

const UUID_CHARACTERS = 36;

/** The name of a new key in the transit engine: `<server>-<UUID>-<key id>`, as SPIRE's. */
export function newKeyName(serverId: string, keyId: string): string {
  return `${serverId}-${randomUUID()}-${keyId}`;
}

/** @returns undefined for a key of somebody else */
export function keyIdOf(name: string, serverId: string): string | undefined {
  const rest = name.startsWith(`${serverId}-`) ? name.slice(serverId.length + 1) : '';
  return rest[UUID_CHARACTERS] === '-' && rest.length > UUID_CHARACTERS + 1
    ? rest.slice(UUID_CHARACTERS + 1)
    : undefined;
}
