// A process of its own that asks the Workload API who it is: prints one JSON object and ends.
import { SpiffeWorkloadAPIDefinition } from '../src/gen/workload/workload.ts';
import { RpcChannel } from '../src/rpc/channel.ts';
import { createClient } from '../src/rpc/client.ts';

const [socketPath = '', audience = ''] = process.argv.slice(2);
const HEADER = { 'workload.spiffe.io': 'true' };
const DEADLINE_MS = 20_000;
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');

using channel = RpcChannel.unix(socketPath);
const api = createClient(SpiffeWorkloadAPIDefinition, channel);
const options = { metadata: HEADER, deadlineMs: DEADLINE_MS };
await using updates = api.fetchX509SVID({}, options);
const [x509] = (await updates.receive())?.svids ?? [];
const [jwt] = (await api.fetchJWTSVID({ audience: [audience], spiffeId: '' }, options)).svids;
if (x509 === undefined || jwt === undefined) throw new Error('the Workload API gave no SVID');
process.stdout.write(
  JSON.stringify({
    x509: {
      spiffeId: x509.spiffeId,
      chain: base64(x509.x509Svid),
      key: base64(x509.x509SvidKey),
      bundle: base64(x509.bundle),
    },
    jwt: { spiffeId: jwt.spiffeId, token: jwt.svid },
  }),
);
