import { requestFromWeb, SpiffeError, z } from '../../plugin-sdk/index.ts';
import { below } from '../cloud/api-url.ts';
import { parseAnswer } from '../cloud/parse-answer.ts';
import type { AttestedDocument } from './attestation-messages.ts';

const NAME = 'the metadata service';
/** The first version that takes nonces of any length; SPIRE's, too. */
const API_VERSION = '2025-04-07';
const DEADLINE_MS = 10_000;
const MAX_BYTES = 256 * 1024;

const document = z.object({ encoding: z.string().min(1), signature: z.string().min(1) });
const instance = z.object({ compute: z.object({ vmScaleSetName: z.string().default('') }) });

/** @see Azure, "Azure Instance Metadata Service for virtual machines", "Attested data" */
export async function fetchAttestedDocument(
  endpoint: URL,
  nonce: string,
  signal: AbortSignal,
): Promise<AttestedDocument> {
  return parseAnswer(await ask(endpoint, '/metadata/attested/document', { nonce }, signal), document, NAME);
}

/** The scale set that the machine is in; undefined for none. */
export async function findScaleSetName(endpoint: URL, signal: AbortSignal): Promise<string | undefined> {
  const { compute } = parseAnswer(
    await ask(endpoint, '/metadata/instance', { format: 'json' }, signal),
    instance,
    NAME,
  );
  return compute.vmScaleSetName === '' ? undefined : compute.vmScaleSetName;
}

async function ask(
  endpoint: URL,
  path: string,
  query: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const { status, body } = await requestFromWeb({
    ...{ name: NAME, signal, maxBytes: MAX_BYTES, deadlineMs: DEADLINE_MS },
    url: new URL(`${below(endpoint, path).href}?${new URLSearchParams({ ...query, 'api-version': API_VERSION })}`),
    headers: { Metadata: 'true' },
  });
  if (status === 200) return body;
  throw new SpiffeError('UNAVAILABLE', `${NAME} at ${endpoint.host} answered with status ${status} for ${path}`);
}
