import { EntryDefinition } from '../../src/gen/spire/api/server/entry/v1/entry.ts';
import { SVIDDefinition } from '../../src/gen/spire/api/server/svid/v1/svid.ts';
import { EntryMask } from '../../src/gen/spire/api/types/types.ts';
import { SpiffeWorkloadAPIDefinition } from '../../src/gen/workload/workload.ts';
import { decodeLogRequest, encodeLogChunk } from '../../src/plugins/tpm/log-codec.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { type Client, createClient } from '../../src/rpc/client.ts';
import type { ProverEk, TpmPool } from '../prover/tpm-pool.ts';
import { attest, attestOver, attestWithToken } from './attest.ts';
import { createKeyAndCsr, openAdmin, openTls } from './connections.ts';
import { attestAgentWithEntries, createEntries, type EntrySpec } from './entries.ts';
import type { LoadName, Target } from './job.ts';

interface LoadContext {
  readonly target: Target;
  readonly tpms: TpmPool;
  readonly callers: number;
  /** Disposed after the load. */
  readonly resources: AsyncDisposableStack;
}

interface Load {
  readonly operationsACall: number;
  readonly call: (caller: number) => Promise<void>;
}

const BATCH = 100;
const MANY_ENTRIES = 1000;
const WORKLOAD_CALL = { metadata: { 'workload.spiffe.io': 'true' }, deadlineMs: 30_000 };

/** Prepares each load, and says what one call of it is. */
export const LOADS: Readonly<Record<LoadName, (context: LoadContext) => Promise<Load>>> = {
  'attest-join-token': async ({ target, resources }) => {
    const admin = resources.use(openAdmin(target));
    return single(async () => {
      await attestWithToken(target, admin);
    });
  },
  'attest-tpm-p256': (context) => attestTpm(context, 'ec-p256'),
  'attest-tpm-rsa': (context) => attestTpm(context, 'rsa-2048'),
  'attest-tpm-p256-kept': (context) => attestOverOne(context, 'ec-p256', {}),
  'attest-tpm-rsa-kept': (context) => attestOverOne(context, 'rsa-2048', {}),
  'attest-measured-kept': (context) => attestOverOne(context, 'ec-p256', { isMeasured: true }),
  'mint-x509': async ({ target, resources }) => {
    const svids = createClient(SVIDDefinition, resources.use(openAdmin(target)));
    const { csr } = await createKeyAndCsr(`spiffe://${target.trustDomain}/minted`);
    return single(async () => {
      await svids.mintX509SVID({ csr, ttl: 0 });
    });
  },
  'mint-jwt': async ({ target, resources }) => {
    const svids = createClient(SVIDDefinition, resources.use(openAdmin(target)));
    const id = { trustDomain: target.trustDomain, path: '/minted' };
    return single(async () => {
      await svids.mintJWTSVID({ id, audience: ['aud'], ttl: 0 });
    });
  },
  'batch-x509': async ({ target, resources }) => {
    const admin = resources.use(openAdmin(target));
    const { channel, entryIds } = await attestAgentWithEntries(target, admin, BATCH);
    const svids = createClient(SVIDDefinition, resources.use(channel));
    const { csr } = await createKeyAndCsr();
    const params = entryIds.map((entryId) => ({ entryId, csr }));
    return {
      operationsACall: BATCH,
      call: async () => {
        const { results } = await svids.batchNewX509SVID({ params });
        const refused = results.find(({ status }) => status?.code !== 0);
        if (refused !== undefined) throw new Error(`an SVID was refused: ${refused.status?.message}`);
      },
    };
  },
  sync: async ({ target, resources }) => {
    const admin = resources.use(openAdmin(target));
    const { channel } = await attestAgentWithEntries(target, admin, MANY_ENTRIES);
    const entries = createClient(EntryDefinition, resources.use(channel));
    const outputMask = EntryMask.fromPartial({ selectors: true, spiffeId: true, parentId: true, revisionNumber: true });
    return single(async () => {
      await using call = entries.syncAuthorizedEntries();
      await call.send({ outputMask, ids: [] });
      if ((await call.receive()) === undefined) throw new Error('the sync ended without an answer');
      call.end();
      await call.receive();
    });
  },
  'get-entries': async ({ target, resources }) => {
    const admin = resources.use(openAdmin(target));
    const { channel } = await attestAgentWithEntries(target, admin, MANY_ENTRIES);
    const entries = createClient(EntryDefinition, resources.use(channel));
    return single(async () => {
      await entries.getAuthorizedEntries({ outputMask: undefined });
    });
  },
  'list-entries': async ({ target, resources }) => {
    const admin = resources.use(openAdmin(target));
    const { channel } = await attestAgentWithEntries(target, admin, MANY_ENTRIES);
    resources.use(channel);
    const entries = createClient(EntryDefinition, admin);
    return single(async () => {
      await entries.listEntries({ filter: undefined, outputMask: undefined, pageSize: MANY_ENTRIES, pageToken: '' });
    });
  },
  'create-entries': async ({ target, resources }) => {
    const admin = resources.use(openAdmin(target));
    let next = 0;
    const spec = (): EntrySpec => {
      next += 1;
      return {
        trustDomain: target.trustDomain,
        path: `/created/${process.pid}/${next}`,
        parentPath: '/agents/none',
        selectors: [
          ['unix', `uid:${100_000 + next}`],
          ['unix', 'gid:1000'],
        ],
      };
    };
    return {
      operationsACall: BATCH,
      call: async () => {
        await createEntries(admin, Array.from({ length: BATCH }, spec));
      },
    };
  },
  'wl-x509': (context) => withOldConnection(context, fetchX509),
  'wl-x509-new': (context) => withNewConnections(context, fetchX509),
  'wl-jwt': (context) => withOldConnection(context, fetchJwt),
  'wl-jwt-new': (context) => withNewConnections(context, fetchJwt),
};

const single = (call: Load['call']): Load => ({ operationsACall: 1, call });

/** Each caller has a TPM of its own, which attests again and again. */
async function attestTpm({ target, tpms, callers }: LoadContext, ek: ProverEk): Promise<Load> {
  for (let caller = 0; caller < callers; caller += 1) tpms.prover(ek, caller, new Uint8Array());
  return single(async (caller) => {
    await attest(target, (publicKey) => {
      const prover = tpms.prover(ek, caller, publicKey);
      return { type: 'tpm', payload: prover.encodedPayload(), answer: (challenge) => prover.answer(challenge) };
    });
  });
}

/** On a connection of nobody that it knows a server takes four calls at once, and one that is about to end counts. */
const CALLERS_A_CONNECTION = 2;

/** The same without a TLS handshake each, and with a key and a CSR for each caller that are there: it is the server that is measured. */
async function attestOverOne(
  { target, tpms, callers, resources }: LoadContext,
  ek: ProverEk,
  { isMeasured = false }: { readonly isMeasured?: boolean },
): Promise<Load> {
  const channels = Array.from({ length: Math.ceil(callers / CALLERS_A_CONNECTION) }, () =>
    resources.use(openTls(target)),
  );
  const nodes = await Promise.all(
    Array.from({ length: callers }, async (_, caller) => {
      const { csr, publicKey } = await createKeyAndCsr();
      const prover = isMeasured ? tpms.measured(caller, publicKey) : tpms.prover(ek, caller, publicKey);
      return { csr, prover, payload: prover.encodedPayload() };
    }),
  );
  return single(async (caller) => {
    const node = nodes[caller];
    const channel = channels[Math.floor(caller / CALLERS_A_CONNECTION)];
    if (node === undefined || channel === undefined) throw new Error(`caller ${caller} has no TPM`);
    const { csr, prover, payload } = node;
    let answers = 0;
    const answer = (message: Uint8Array) => {
      answers += 1;
      return answers === 1 ? prover.answer(message) : encodeLogChunk(prover.chunk(decodeLogRequest(message)));
    };
    await attestOver(channel, csr, { type: 'tpm', payload, answer });
  });
}

type WorkloadApi = Client<typeof SpiffeWorkloadAPIDefinition>;

async function withOldConnection({ target, resources }: LoadContext, fetch: (api: WorkloadApi) => Promise<void>) {
  const channel = resources.use(RpcChannel.unix(target.workloadSocket));
  const api = createClient(SpiffeWorkloadAPIDefinition, channel);
  return single(() => fetch(api));
}

async function withNewConnections({ target }: LoadContext, fetch: (api: WorkloadApi) => Promise<void>) {
  return single(async () => {
    using channel = RpcChannel.unix(target.workloadSocket);
    await fetch(createClient(SpiffeWorkloadAPIDefinition, channel));
  });
}

/** Takes the first answer and leaves, as a workload does that asks once. */
async function fetchX509(api: WorkloadApi): Promise<void> {
  await using call = api.fetchX509SVID({}, WORKLOAD_CALL);
  const answer = await call.receive();
  if (answer === undefined || answer.svids.length === 0) throw new Error('no X.509-SVID');
}

async function fetchJwt(api: WorkloadApi): Promise<void> {
  const { svids } = await api.fetchJWTSVID({ audience: ['aud'], spiffeId: '' }, WORKLOAD_CALL);
  if (svids.length === 0) throw new Error('no JWT-SVID');
}
