import { open } from 'node:fs/promises';
import type { OidcSource } from '../config/oidc-config.ts';
import { BundleDefinition } from '../gen/spire/api/server/bundle/v1/bundle.ts';
import { BundleMask } from '../gen/spire/api/types/types.ts';
import { SpiffeWorkloadAPIDefinition } from '../gen/workload/workload.ts';
import { RpcChannel } from '../rpc/channel.ts';
import { createClient } from '../rpc/client.ts';
import { WORKLOAD_METADATA } from '../rpc/workload-metadata.ts';
import type { JwtAuthority } from '../spiffe/bundle.ts';
import { parseBundleDocument } from '../spiffe/bundle-document.ts';
import { messageOf, SpiffeError } from '../spiffe/error.ts';
import { parseTrustDomain } from '../spiffe/trust-domain.ts';

const MAX_BYTES = 4 * 1024 * 1024;
const DEADLINE_MS = 10_000;

/** Where keys come from, for people. */
export function describeSource(source: OidcSource): string {
  if (source.type === 'server') return `the server at ${source.socketPath}`;
  return source.type === 'workload' ? `the Workload API at ${source.socketPath}` : source.path;
}

/** Asks once. @throws RemoteError, SpiffeError that says what went wrong */
export async function fetchKeys(source: OidcSource, signal: AbortSignal): Promise<readonly JwtAuthority[]> {
  switch (source.type) {
    case 'server':
      return await fetchFromServer(source.socketPath, signal);
    case 'workload':
      return await fetchFromAgent(source, signal);
    case 'file':
      return keysOf(await readAll(source.path));
  }
}

async function fetchFromServer(socketPath: string, signal: AbortSignal): Promise<readonly JwtAuthority[]> {
  using channel = RpcChannel.unix(socketPath, { maxMessageBytes: MAX_BYTES });
  const outputMask = BundleMask.fromPartial({ jwtAuthorities: true });
  const { jwtAuthorities } = await createClient(BundleDefinition, channel).getBundle(
    { outputMask },
    { signal, deadlineMs: DEADLINE_MS },
  );
  return jwtAuthorities.map(({ keyId, publicKey, expiresAt, tainted }) => ({
    ...{ keyId, publicKey, tainted },
    expiresAt: Number(expiresAt),
  }));
}

async function fetchFromAgent(
  { socketPath, trustDomain }: OidcSource & { type: 'workload' },
  signal: AbortSignal,
): Promise<readonly JwtAuthority[]> {
  using channel = RpcChannel.unix(socketPath, { maxMessageBytes: MAX_BYTES });
  const options = { metadata: WORKLOAD_METADATA, signal, deadlineMs: DEADLINE_MS };
  await using stream = createClient(SpiffeWorkloadAPIDefinition, channel).fetchJWTBundles({}, options);
  const answer = await stream.receive();
  const document = answer?.bundles[`spiffe://${trustDomain}`];
  if (document !== undefined) return keysOf(Buffer.from(document).toString('utf8'));
  const known = Object.keys(answer?.bundles ?? {}).join(', ') || 'none';
  throw new SpiffeError(
    'BUNDLE_INVALID',
    `there is no bundle of "${trustDomain}" among those that this workload gets: ${known}`,
  );
}

/** A bundle does not name its trust domain, and keys are all that is taken of it. */
function keysOf(document: string): readonly JwtAuthority[] {
  return parseBundleDocument(document, parseTrustDomain('bundle.invalid')).jwtAuthorities;
}

async function readAll(path: string): Promise<string> {
  try {
    await using file = await open(path);
    const { size } = await file.stat();
    if (size > MAX_BYTES) throw new SpiffeError('FILE_UNUSABLE', `it has ${size} bytes, ${MAX_BYTES} at most`);
    return await file.readFile('utf8');
  } catch (cause) {
    throw new SpiffeError('FILE_UNUSABLE', `"${path}" cannot be read: ${messageOf(cause)}`, { cause });
  }
}
