import {
  type AuthorityState,
  LocalAuthorityDefinition,
} from '../../src/gen/spire/api/server/localauthority/v1/localauthority.ts';
import type { TestServer } from './running-server.ts';

export interface AuthoritySteps {
  /** @returns the id of the new authority */
  prepare(): Promise<string>;
  activate(authorityId: string): Promise<void>;
  taint(authorityId: string): Promise<void>;
  revoke(authorityId: string): Promise<void>;
  active(): Promise<string>;
}

/** What an administrator does to a server's authorities of one kind, over the admin socket. */
export function authoritySteps(server: Pick<TestServer, 'admin'>, kind: 'X509' | 'JWT'): AuthoritySteps {
  const api = server.admin(LocalAuthorityDefinition);
  const idOf = (state: AuthorityState | undefined) => state?.authorityId ?? '';
  return {
    prepare: async () => idOf((await api[`prepare${kind}Authority`]({})).preparedAuthority),
    activate: async (authorityId) => void (await api[`activate${kind}Authority`]({ authorityId })),
    taint: async (authorityId) => void (await api[`taint${kind}Authority`]({ authorityId })),
    revoke: async (authorityId) => void (await api[`revoke${kind}Authority`]({ authorityId })),
    active: async () => idOf((await api[`get${kind}AuthorityState`]({})).active),
  };
}
