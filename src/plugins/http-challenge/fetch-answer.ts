import { lookup } from 'node:dns/promises';
import { type ClientRequest, request } from 'node:http';
import { isIP, type LookupFunction } from 'node:net';
import { answerTo, messageOf, quoteText, readBody, SpiffeError } from '../../plugin-sdk/index.ts';
import type { AllowedAddresses } from './allowed-addresses.ts';
import { challengePath, type HttpPayload } from './messages.ts';

export interface Address {
  readonly address: string;
  readonly family: number;
}

export interface FetchOptions {
  readonly allowed: AllowedAddresses;
  readonly signal: AbortSignal;
  /** The system's resolver where absent. */
  readonly resolve?: (hostname: string) => Promise<readonly Address[]>;
  /** For finding the address, connecting and reading together: 10 s where absent. */
  readonly deadlineMs?: number;
}

/** SPIRE's server has the same. */
const DEADLINE_MS = 10_000;
/** SPIRE reads as much. */
const MAX_BODY_BYTES = 64;
const MAX_HEADER_BYTES = 8192;

/**
 * What the node serves as the answer to its challenge. The connection goes to an address that was checked, whatever the name
 * resolves to meanwhile; neither a redirect nor a proxy is followed.
 *
 * @throws SpiffeError `ATTESTATION_DENIED`; what is in its message the node may know
 */
export async function fetchAnswer(payload: HttpPayload, options: FetchOptions): Promise<string> {
  const { allowed, signal, resolve = resolveByDns, deadlineMs = DEADLINE_MS } = options;
  const deadline = AbortSignal.timeout(deadlineMs);
  const either = AbortSignal.any([signal, deadline]);
  try {
    const addresses = await addressesOf(payload.hostname, resolve, either);
    requireAllowed(addresses, payload.hostname, allowed);
    return await readAnswer(await answerTo(start(payload, addresses, either)));
  } catch (cause) {
    if (cause instanceof SpiffeError) throw cause;
    if (signal.aborted) throw new SpiffeError('CANCELLED', 'the attestation ended early', { cause });
    const reason = deadline.aborted ? `it took longer than ${deadlineMs / 1000} s` : messageOf(cause);
    throw denied(payload, `cannot be fetched: ${reason}`, cause);
  }
}

const resolveByDns = (hostname: string): Promise<readonly Address[]> => lookup(hostname, { all: true });

async function addressesOf(
  hostname: string,
  resolve: (hostname: string) => Promise<readonly Address[]>,
  signal: AbortSignal,
): Promise<readonly Address[]> {
  const family = isIP(hostname);
  if (family !== 0) return [{ address: hostname, family }];
  const { promise, reject } = Promise.withResolvers<never>();
  const giveUp = () => reject(signal.reason);
  signal.addEventListener('abort', giveUp, { once: true });
  try {
    signal.throwIfAborted();
    return await Promise.race([resolve(hostname), promise]);
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
}

/** All of them: whoever sends a name with one that is forbidden would be lucky once. */
function requireAllowed(addresses: readonly Address[], hostname: string, { isAllowed }: AllowedAddresses): void {
  const forbidden = addresses.find(({ address }) => !isAllowed(address));
  if (forbidden === undefined && addresses.length > 0) return;
  throw new SpiffeError(
    'ATTESTATION_DENIED',
    `the hostname ${quoteText(hostname)} has the address ${forbidden?.address ?? 'of nobody'}, where no challenge is fetched from: set "allowed_networks" on the server if nodes are there`,
  );
}

function start(
  { hostname, port, agentname }: HttpPayload,
  addresses: readonly Address[],
  signal: AbortSignal,
): ClientRequest {
  const give: LookupFunction = (_name, options, done) => {
    const [first] = addresses;
    if (options.all === true) done(null, [...addresses]);
    else done(null, first?.address ?? '', first?.family);
  };
  return request({
    ...{ host: hostname, port, path: challengePath(agentname), lookup: give, signal },
    ...{ agent: false, maxHeaderSize: MAX_HEADER_BYTES, headers: { Connection: 'close', 'User-Agent': 'assayer' } },
  });
}

async function readAnswer(response: Awaited<ReturnType<typeof answerTo>>): Promise<string> {
  const { statusCode: status = 0 } = response;
  if (status !== 200) {
    response.destroy();
    const what =
      status >= 300 && status < 400 ? `redirects (status ${status}), which is not followed` : `status ${status}`;
    throw new SpiffeError('ATTESTATION_DENIED', `the challenge was asked for, and the answer is ${what}`);
  }
  const tooLarge = () =>
    new SpiffeError(
      'ATTESTATION_DENIED',
      `the challenge was asked for, and the answer has more than ${MAX_BODY_BYTES} bytes`,
    );
  return (await readBody(response, MAX_BODY_BYTES, tooLarge)).toString('latin1').trim();
}

function denied({ hostname, port }: HttpPayload, reason: string, cause: unknown): SpiffeError {
  return new SpiffeError('ATTESTATION_DENIED', `the challenge at ${quoteText(hostname)}, port ${port}, ${reason}`, {
    cause,
  });
}
