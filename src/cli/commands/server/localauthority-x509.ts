import { LocalAuthorityDefinition } from '../../../gen/spire/api/server/localauthority/v1/localauthority.ts';
import { adminCommand } from '../../admin-channel.ts';
import { authorityIdFlag, formatAuthorities, formatAuthority, requireAuthorityId } from '../../authority-state.ts';

export const localAuthorityX509Show = adminCommand({
  summary: 'Show the local X.509 authorities',
  flags: {},
  run: async (_values, { client, show, terminal }) => {
    const answer = await client(LocalAuthorityDefinition).getX509AuthorityState({});
    show(answer, () => terminal.print(formatAuthorities('X.509', answer)));
  },
});

export const localAuthorityX509Prepare = adminCommand({
  summary: 'Prepare a new X.509 authority: make its key and publish it in the bundle',
  flags: {},
  run: async (_values, { client, show, terminal }) => {
    const answer = await client(LocalAuthorityDefinition).prepareX509Authority({});
    show(answer, () => terminal.print(formatAuthority('Prepared', 'X.509', answer.preparedAuthority)));
  },
});

export const localAuthorityX509Activate = adminCommand({
  summary: 'Have a prepared X.509 authority sign from now on',
  flags: authorityIdFlag('X.509', 'activate'),
  run: async ({ authorityID }, { client, show, terminal }) => {
    const authorityId = requireAuthorityId(authorityID);
    const answer = await client(LocalAuthorityDefinition).activateX509Authority({ authorityId });
    show(answer, () => terminal.print(formatAuthority('Activated', 'X.509', answer.activatedAuthority)));
  },
});

export const localAuthorityX509Taint = adminCommand({
  summary: 'Mark an old X.509 authority as tainted: what it signed is replaced',
  flags: authorityIdFlag('X.509', 'taint'),
  run: async ({ authorityID }, { client, show, terminal }) => {
    const authorityId = requireAuthorityId(authorityID);
    const answer = await client(LocalAuthorityDefinition).taintX509Authority({ authorityId });
    show(answer, () => terminal.print(formatAuthority('Tainted', 'X.509', answer.taintedAuthority)));
  },
});

export const localAuthorityX509Revoke = adminCommand({
  summary: 'Take a tainted X.509 authority out of the bundle',
  flags: authorityIdFlag('X.509', 'revoke'),
  run: async ({ authorityID }, { client, show, terminal }) => {
    const authorityId = requireAuthorityId(authorityID);
    const answer = await client(LocalAuthorityDefinition).revokeX509Authority({ authorityId });
    show(answer, () => terminal.print(formatAuthority('Revoked', 'X.509', answer.revokedAuthority)));
  },
});
