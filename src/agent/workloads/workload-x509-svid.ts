import { generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import type { Logger } from '../../log/logger.ts';
import { messageOf, SpiffeError } from '../../spiffe/error.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import { Status } from '../../spiffe/status.ts';
import { createCsr } from '../../x509/csr.ts';
import { signerOfKeyObject } from '../../x509/signer.ts';
import { requireReceivedSvid } from '../identity/received-svid.ts';
import { missesTarget, rotationTime, TARGET_MISSED } from '../identity/rotation-time.ts';
import { steadyOffset } from '../identity/steady-time.ts';
import type { AuthorizedEntry } from '../server-api/authorized-entry.ts';
import { CALL_DEADLINE_MS, type ServerConnection } from '../server-api/server-connection.ts';

/** A workload's X.509-SVID and its key. */
export interface WorkloadX509Svid {
  readonly entryId: string;
  /** Of the entry that it was issued for: another state of the entry asks for another SVID. */
  readonly revisionNumber: number;
  readonly createdAt: number;
  readonly spiffeId: SpiffeId;
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[];
  /** PKCS#8, DER. */
  readonly privateKey: Uint8Array;
  readonly expiresAt: Date;
  readonly rotateAt: Date;
  /** As in {@link timeFor}; undefined for one of the last run. */
  readonly steadyOffsetMs?: number;
}

export interface IssueOptions {
  readonly connection: ServerConnection;
  readonly keyType: 'ec-p256' | 'ec-p384' | 'rsa-2048';
  readonly availabilityTargetSeconds: number | undefined;
  /** Told of every entry that is left out. */
  readonly onRefused: (entryId: string, reason: string) => void;
  readonly log: Logger;
  readonly clock: () => Date;
}

/** SVIDs asked for in one call. */
const BATCH = 250;

const generate = promisify(generateKeyPair);

/** New SVIDs with new keys. One that the server or a check refuses is logged and left out. */
export async function issueX509Svids(
  entries: readonly AuthorizedEntry[],
  options: IssueOptions,
  signal: AbortSignal,
): Promise<readonly WorkloadX509Svid[]> {
  const issued: WorkloadX509Svid[] = [];
  for (let start = 0; start < entries.length; start += BATCH) {
    issued.push(...(await issueBatch(entries.slice(start, start + BATCH), options, signal)));
  }
  tellOfShortLives(issued, options);
  return issued;
}

/** One record for all. */
function tellOfShortLives(issued: readonly WorkloadX509Svid[], options: IssueOptions): void {
  const { availabilityTargetSeconds, clock, log } = options;
  const receivedAt = clock();
  const short = issued.filter(({ expiresAt }) => missesTarget({ receivedAt, expiresAt, availabilityTargetSeconds }));
  const [first] = short;
  if (first === undefined) return;
  log.warning(TARGET_MISSED, { entry_id: first.entryId, spiffe_id: first.spiffeId, svids: short.length });
}

interface Request {
  readonly entry: AuthorizedEntry;
  readonly privateKey: KeyObject;
  readonly publicKey: Uint8Array;
  readonly csr: Uint8Array;
}

async function issueBatch(
  entries: readonly AuthorizedEntry[],
  options: IssueOptions,
  signal: AbortSignal,
): Promise<readonly WorkloadX509Svid[]> {
  const requests = await Promise.all(entries.map((entry) => createRequest(entry, options.keyType)));
  const params = requests.map(({ entry, csr }) => ({ entryId: entry.id, csr }));
  const { results } = await options.connection.run(({ svid }) =>
    svid.batchNewX509SVID({ params }, { signal, deadlineMs: CALL_DEADLINE_MS }),
  );
  return requests.flatMap((request, index) => {
    const { status, svid } = results[index] ?? {};
    try {
      if (status?.code !== Status.Ok) throw new SpiffeError('INTERNAL', status?.message || 'the server gave no reason');
      return [toWorkloadSvid(request, svid?.certChain ?? [], options)];
    } catch (error) {
      const { id, spiffeId } = request.entry;
      const reason = messageOf(error);
      options.onRefused(id, reason);
      options.log.error('no X.509-SVID for an entry', { entry_id: id, spiffe_id: spiffeId, reason });
      return [];
    }
  });
}

async function createRequest(entry: AuthorizedEntry, keyType: IssueOptions['keyType']): Promise<Request> {
  const { privateKey } = await generateKey(keyType);
  const signer = signerOfKeyObject(privateKey);
  const csr = await createCsr({ signer, uriNames: [entry.spiffeId] });
  return { entry, privateKey, publicKey: signer.publicKey, csr };
}

async function generateKey(keyType: IssueOptions['keyType']): Promise<{ readonly privateKey: KeyObject }> {
  switch (keyType) {
    case 'ec-p256':
      return await generate('ec', { namedCurve: 'P-256' });
    case 'ec-p384':
      return await generate('ec', { namedCurve: 'P-384' });
    case 'rsa-2048':
      return await generate('rsa', { modulusLength: 2048 });
  }
}

function toWorkloadSvid(
  { entry, privateKey, publicKey }: Request,
  chain: readonly Uint8Array[],
  { clock, availabilityTargetSeconds }: IssueOptions,
): WorkloadX509Svid {
  const receivedAt = clock();
  const { spiffeId, leaf } = requireReceivedSvid({ chain, publicKey, now: receivedAt });
  if (spiffeId !== entry.spiffeId) {
    throw new SpiffeError('SVID_INVALID', `the server issued an X.509-SVID of ${spiffeId}, not of ${entry.spiffeId}`);
  }
  return {
    entryId: entry.id,
    revisionNumber: entry.revisionNumber,
    createdAt: entry.createdAt,
    spiffeId,
    chain,
    privateKey: new Uint8Array(privateKey.export({ type: 'pkcs8', format: 'der' })),
    expiresAt: leaf.notAfter,
    rotateAt: rotationTime({ receivedAt, expiresAt: leaf.notAfter, availabilityTargetSeconds }),
    steadyOffsetMs: steadyOffset(receivedAt),
  };
}
