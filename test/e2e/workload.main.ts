// A workload, as a process of its own: workload.main.ts SOCKET AUDIENCE [UID]. Without an audience it wants no JWT-SVID.
import { SpiffeWorkloadAPIDefinition } from '../../src/gen/workload/workload.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { createClient } from '../../src/rpc/client.ts';
import { RemoteError } from '../../src/rpc/status.ts';

const [socketPath = '', audience = '', uid = ''] = process.argv.slice(2);
const options = { metadata: { 'workload.spiffe.io': 'true' }, deadlineMs: 30_000 };
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');

if (uid !== '') {
  process.setgroups?.([]);
  process.setgid?.(Number(uid));
  process.setuid?.(Number(uid));
}
using channel = RpcChannel.unix(socketPath);
const api = createClient(SpiffeWorkloadAPIDefinition, channel);

async function fetchIdentity(): Promise<unknown> {
  await using updates = api.fetchX509SVID({}, options);
  const svids = (await updates.receive())?.svids ?? [];
  const x509 = svids.map(({ spiffeId, x509Svid, x509SvidKey, bundle }) => ({
    spiffeId,
    chain: base64(x509Svid),
    key: base64(x509SvidKey),
    bundle: base64(bundle),
  }));
  if (audience === '') return { x509 };
  const jwt = await api.fetchJWTSVID({ audience: [audience], spiffeId: '' }, options);
  const [token = ''] = jwt.svids.map(({ svid }) => svid);
  await using bundleUpdates = api.fetchJWTBundles({}, options);
  const bundles = (await bundleUpdates.receive())?.bundles ?? {};
  const validated = await api.validateJWTSVID({ audience, svid: token }, options);
  return {
    x509,
    token,
    bundles: Object.fromEntries(Object.entries(bundles).map(([id, jwks]) => [id, Buffer.from(jwks).toString('utf8')])),
    validated,
  };
}

try {
  process.stdout.write(JSON.stringify(await fetchIdentity()));
} catch (error) {
  if (!(error instanceof RemoteError)) throw error;
  process.stdout.write(JSON.stringify({ refusal: { status: error.status, message: error.message } }));
}
