import { SVIDDefinition } from '../../../gen/spire/api/server/svid/v1/svid.ts';
import { SpiffeError } from '../../../spiffe/error.ts';
import { adminCommand } from '../../admin-channel.ts';
import { parseApiId, requireGiven } from '../../api-ids.ts';
import { durationSeconds, text, texts } from '../../flag-kinds.ts';
import { warnOfShortLife } from '../../short-life.ts';
import { writePrivateFile } from '../../written-files.ts';

export const jwtMint = adminCommand({
  summary: 'Mint a JWT-SVID without a registration entry',
  flags: {
    spiffeID: text('SPIFFE ID of the SVID', 'ID'),
    ttl: durationSeconds('Life of the SVID; 0s for the default of the server'),
    audience: texts('Who the SVID is for', 'NAME'),
    write: text('File to write the token to instead of printing it', 'PATH'),
  },
  run: async ({ spiffeID, ttl, audience, write }, { client, show, terminal }) => {
    requireGiven(spiffeID, 'give the -spiffeID of the SVID');
    requireGiven(audience, 'give one -audience at least');
    const id = parseApiId(spiffeID, '-spiffeID');
    const answer = await client(SVIDDefinition).mintJWTSVID({ id, audience: [...audience], ttl });
    const { svid } = answer;
    if (svid === undefined || svid.token === '') {
      throw new SpiffeError('INTERNAL', 'the answer of the server has no token');
    }
    warnOfShortLife('JWT-SVID', svid.expiresAt, ttl, terminal);
    if (write !== '') {
      await writePrivateFile(write, svid.token);
      return terminal.print(`JWT-SVID written to ${write}\n`);
    }
    show(answer, () => terminal.print(`${svid.token}\n`));
  },
});
