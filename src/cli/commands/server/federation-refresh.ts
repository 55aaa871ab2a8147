import { TrustDomainDefinition } from '../../../gen/spire/api/server/trustdomain/v1/trustdomain.ts';
import { RemoteError } from '../../../rpc/status.ts';
import { SpiffeError } from '../../../spiffe/error.ts';
import { Status } from '../../../spiffe/status.ts';
import { adminCommand } from '../../admin-channel.ts';
import { requireGiven } from '../../api-ids.ts';
import { text } from '../../flag-kinds.ts';

export const federationRefresh = adminCommand({
  summary: 'Fetch the bundle of a federated trust domain now',
  flags: { id: text('The trust domain', 'TRUST_DOMAIN') },
  run: async ({ id }, { client, show, terminal }) => {
    requireGiven(id, 'give the -id of the trust domain, such as -id spiffe://other.example');
    try {
      await client(TrustDomainDefinition).refreshBundle({ trustDomain: id });
    } catch (cause) {
      if (!(cause instanceof RemoteError && cause.status === Status.NotFound)) throw cause;
      const message = `there is no federation relationship with trust domain "${id}"`;
      throw new SpiffeError('FEDERATION_NOT_FOUND', message, { cause });
    }
    show({ code: Status.Ok, message: 'OK' }, () => terminal.print('Bundle refreshed\n'));
  },
});
