import { LocalAuthorityDefinition } from '../../../gen/spire/api/server/localauthority/v1/localauthority.ts';
import { adminCommand } from '../../admin-channel.ts';
import { authorityIdFlag, formatAuthorities, formatAuthority, requireAuthorityId } from '../../authority-state.ts';

export const localAuthorityJwtShow = adminCommand({
  summary: 'Show the local JWT authorities',
  flags: {},
  run: async (_values, { client, show, terminal }) => {
    const answer = await client(LocalAuthorityDefinition).getJWTAuthorityState({});
    show(answer, () => terminal.print(formatAuthorities('JWT', answer)));
  },
});

export const localAuthorityJwtPrepare = adminCommand({
  summary: 'Prepare a new JWT authority: make its key and publish it in the bundle',
  flags: {},
  run: async (_values, { client, show, terminal }) => {
    const answer = await client(LocalAuthorityDefinition).prepareJWTAuthority({});
    show(answer, () => terminal.print(formatAuthority('Prepared', 'JWT', answer.preparedAuthority)));
  },
});

export const localAuthorityJwtActivate = adminCommand({
  summary: 'Have a prepared JWT authority sign from now on',
  flags: authorityIdFlag('JWT', 'activate'),
  run: async ({ authorityID }, { client, show, terminal }) => {
    const authorityId = requireAuthorityId(authorityID);
    const answer = await client(LocalAuthorityDefinition).activateJWTAuthority({ authorityId });
    show(answer, () => terminal.print(formatAuthority('Activated', 'JWT', answer.activatedAuthority)));
  },
});

export const localAuthorityJwtTaint = adminCommand({
  summary: 'Mark an old JWT authority as tainted: what it signed is replaced',
  flags: authorityIdFlag('JWT', 'taint'),
  run: async ({ authorityID }, { client, show, terminal }) => {
    const authorityId = requireAuthorityId(authorityID);
    const answer = await client(LocalAuthorityDefinition).taintJWTAuthority({ authorityId });
    show(answer, () => terminal.print(formatAuthority('Tainted', 'JWT', answer.taintedAuthority)));
  },
});

export const localAuthorityJwtRevoke = adminCommand({
  summary: 'Take a tainted JWT authority out of the bundle',
  flags: authorityIdFlag('JWT', 'revoke'),
  run: async ({ authorityID }, { client, show, terminal }) => {
    const authorityId = requireAuthorityId(authorityID);
    const answer = await client(LocalAuthorityDefinition).revokeJWTAuthority({ authorityId });
    show(answer, () => terminal.print(formatAuthority('Revoked', 'JWT', answer.revokedAuthority)));
  },
});
