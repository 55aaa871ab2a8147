import { RemoteError } from '../../../rpc/status.ts';
import { SpiffeError } from '../../../spiffe/error.ts';
import { Status } from '../../../spiffe/status.ts';
import { requireGiven } from '../../api-ids.ts';
import { text } from '../../flag-kinds.ts';
import { formatProtoJson, outputFlag } from '../../output.ts';
import { workloadCommand } from '../../workload-channel.ts';

export const apiValidateJwt = workloadCommand({
  summary: 'Let the Workload API validate a JWT-SVID',
  flags: {
    audience: text('Who the SVID must be for', 'NAME'),
    svid: text('The token', 'JWT'),
    output: outputFlag,
  },
  run: async ({ audience, svid, output }, { api, callOptions, terminal }) => {
    requireGiven(audience, 'give the -audience that the SVID must be for');
    requireGiven(svid, 'give the token as -svid');
    const answer = await api.validateJWTSVID({ audience, svid }, callOptions).catch((error: unknown) => {
      if (!(error instanceof RemoteError) || error.status !== Status.InvalidArgument) throw error;
      throw new SpiffeError('SVID_INVALID', `SVID is not valid: ${error.message}`, { cause: error });
    });
    if (output === 'json') return terminal.print(formatProtoJson(answer, ['claims']));
    terminal.print(`SVID is valid.\nSPIFFE ID : ${answer.spiffeId}\nClaims    : ${JSON.stringify(answer.claims)}\n`);
  },
});
