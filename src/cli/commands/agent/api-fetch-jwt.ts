import type { JWTBundlesResponse, JWTSVIDResponse } from '../../../gen/workload/workload.ts';
import { SpiffeError } from '../../../spiffe/error.ts';
import { requireGiven } from '../../api-ids.ts';
import { commaSeparated, text } from '../../flag-kinds.ts';
import { formatProtoJson, outputFlag } from '../../output.ts';
import { workloadCommand } from '../../workload-channel.ts';

export const apiFetchJwt = workloadCommand({
  summary: 'Fetch JWT-SVIDs and their bundles from the Workload API',
  flags: {
    audience: commaSeparated('Who the SVID is for; several with commas between', 'NAME,…'),
    spiffeID: text('Only the SVID of this SPIFFE ID', 'ID'),
    output: outputFlag,
    format: { ...outputFlag, summary: 'Old name of -output', initial: undefined },
  },
  run: async ({ audience, spiffeID, output, format }, { api, callOptions, terminal }) => {
    requireGiven(audience, 'give one -audience at least');
    await using stream = api.fetchJWTBundles({}, callOptions);
    const bundles = await stream.receive();
    if (bundles === undefined) throw new SpiffeError('INTERNAL', 'the agent ended the call without an answer');
    const svids = await api.fetchJWTSVID({ audience: [...audience], spiffeId: spiffeID }, callOptions);
    const isJson = (format ?? output) === 'json';
    terminal.print(isJson ? formatProtoJson([svids, bundles]) : formatPretty(svids, bundles));
  },
});

function formatPretty({ svids }: JWTSVIDResponse, { bundles }: JWTBundlesResponse): string {
  const lines = [
    ...svids.flatMap(({ spiffeId, svid, hint }) => [
      `token(${spiffeId}):\n\t${svid}`,
      ...(hint === '' ? [] : [`hint(${spiffeId}):\n\t${hint}`]),
    ]),
    ...Object.entries(bundles).map(([id, document]) => `bundle(${id}):\n\t${Buffer.from(document).toString('utf8')}`),
  ];
  return lines.map((line) => `${line}\n`).join('');
}
