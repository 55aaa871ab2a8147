import { setTimeout as sleep } from 'node:timers/promises';
import type { Authorization, Client, Order } from 'acme-client';
import type { AcmeConfig } from '../config/federation-config.ts';
import type { Logger } from '../log/logger.ts';
import { SpiffeError } from '../spiffe/error.ts';
import { quoteText } from '../spiffe/quote-text.ts';
import { type AcmeCertificate, type AcmeFiles, toAcmeCertificate } from './acme-files.ts';
import { loadAcmeLibrary } from './load-acme-library.ts';
import type { TlsAlpnChallenge } from './tls-alpn-challenge.ts';

export interface AcmeOrderOptions {
  readonly config: AcmeConfig;
  readonly files: AcmeFiles;
  readonly challenge: TlsAlpnChallenge;
  readonly log: Logger;
}

const POLL_MS = 1_000;
/** The library's types know of the others only. */
const CHALLENGE: string = 'tls-alpn-01';

/**
 * Has an ACME server issue a certificate for a new key, and stores it. Source: RFC 8555 §7, RFC 8737.
 *
 * @throws SpiffeError, Error that says what went wrong; the signal's reason
 */
export async function orderCertificate(options: AcmeOrderOptions, signal: AbortSignal): Promise<AcmeCertificate> {
  const { config, files } = options;
  const { domainNames } = config;
  const { crypto } = await loadAcmeLibrary();
  const client = await openAccount(options);
  const order = await client.createOrder({ identifiers: domainNames.map((value) => ({ type: 'dns', value })) });
  for (const authorization of await client.getAuthorizations(order)) {
    signal.throwIfAborted();
    await authorize(authorization, { ...options, client, order }, signal);
  }
  const key = String(await crypto.createPrivateEcdsaKey('P-256'));
  const [, csr] = await crypto.createCsr({ altNames: [...domainNames] }, key);
  const finalized = await client.finalizeOrder(await reach('ready', client, order, signal), csr);
  const chain = await client.getCertificate(await reach('valid', client, finalized, signal));
  const certificate = toAcmeCertificate(chain, key, domainNames);
  await files.writeCertificate(chain, key);
  return certificate;
}

async function openAccount({ config, files, log }: AcmeOrderOptions): Promise<Client> {
  const { directoryUrl, email, tosAccepted } = config;
  const { Client: AcmeClient, crypto } = await loadAcmeLibrary();
  const known = await files.findAccountKey();
  const accountKey = known ?? String(await crypto.createPrivateEcdsaKey('P-256'));
  const client = new AcmeClient({ directoryUrl, accountKey });
  const terms = await client.getTermsOfServiceUrl();
  if (terms && !tosAccepted) {
    throw new SpiffeError(
      'FAILED_PRECONDITION',
      `the terms of service of ${directoryUrl} are not accepted: read ${quoteText(terms)} and set tos_accepted = true`,
    );
  }
  // A key that has an account already gets that: RFC 8555 §7.3.1.
  await client.createAccount({ termsOfServiceAgreed: tosAccepted, contact: [`mailto:${email}`] });
  if (known === undefined) {
    await files.writeAccountKey(accountKey);
    log.info('an ACME account was made', { directory_url: directoryUrl, email, tos_url: terms });
  }
  return client;
}

async function authorize(
  authorization: Authorization,
  { client, order, challenge: server }: AcmeOrderOptions & { readonly client: Client; readonly order: Order },
  signal: AbortSignal,
): Promise<void> {
  if (authorization.status === 'valid') return;
  const { crypto } = await loadAcmeLibrary();
  const challenge = authorization.challenges.find(({ type }) => type === CHALLENGE);
  if (challenge === undefined) {
    const offered = authorization.challenges.map(({ type }) => quoteText(type)).join(', ');
    throw new SpiffeError('FAILED_PRECONDITION', `the ACME server offers no challenge "${CHALLENGE}", but ${offered}`);
  }
  const keyAuthorization = await client.getChallengeKeyAuthorization(challenge);
  const key = await crypto.createPrivateEcdsaKey('P-256');
  const [, cert] = await crypto.createAlpnCertificate(authorization, keyAuthorization, key);
  using _answering = server.answer({ key, cert });
  await client.completeChallenge(challenge);
  for (;;) {
    const current = (await client.getAuthorizations(order)).find(({ url }) => url === authorization.url);
    if (current?.status === 'valid') return;
    if (current?.status !== 'pending') throw refused(current);
    await sleep(POLL_MS, undefined, { signal });
  }
}

/** Waits until the order is in this state. */
async function reach(wanted: 'ready' | 'valid', client: Client, order: Order, signal: AbortSignal): Promise<Order> {
  for (let current = order; ; ) {
    if (current.status === wanted || (wanted === 'ready' && current.status === 'valid')) return current;
    if (current.status === 'invalid') throw new Error(`the ACME order is invalid: ${explain(current)}`);
    await sleep(POLL_MS, undefined, { signal });
    current = await client.getOrder(current);
  }
}

function refused(authorization: Authorization | undefined): SpiffeError {
  const problems = (authorization?.challenges ?? []).flatMap((challenge) =>
    'error' in challenge ? [explain(challenge)] : [],
  );
  return new SpiffeError(
    'FAILED_PRECONDITION',
    `the ACME server does not accept the challenge: ${problems.join('; ') || authorization?.status || 'it has gone'}`,
  );
}

/** RFC 7807: whatever the server says is quoted. */
function explain(subject: object): string {
  const error: unknown = 'error' in subject ? subject.error : undefined;
  if (typeof error !== 'object' || error === null) return 'the server gave no reason';
  return quoteText('detail' in error ? String(error.detail) : JSON.stringify(error));
}
