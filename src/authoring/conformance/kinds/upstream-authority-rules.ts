import {
  type MintX509CAResponse,
  UpstreamAuthorityDefinition,
} from '../../../gen/spire/plugin/server/upstreamauthority/v1/upstreamauthority.ts';
import type { Client, ServerStreamCall } from '../../../rpc/client.ts';
import { messageOf } from '../../../spiffe/error.ts';
import { Status } from '../../../spiffe/status.ts';
import { parseCertificate } from '../../../x509/certificate.ts';
import { verifyChain } from '../../../x509/chain.ts';
import { createCsr } from '../../../x509/csr.ts';
import type { Signer } from '../../../x509/signer.ts';
import { publicKeyOfSpki } from '../../../x509/spki.ts';
import { describeOutcome, expectRefusal, outcomeOf } from '../outcome.ts';
import { pause } from '../pause.ts';
import { Mismatch, NotApplicable, type Rule, requireThat } from '../rule.ts';
import { CALL_MS } from '../session.ts';
import type { Subject } from '../subject.ts';
import { newSigner } from '../throwaway-authority.ts';

const TTL_SECONDS = 3_600;
/** How long further messages of a stream are waited for. */
const UPDATES_MS = 1_000;
const MAX_UPDATES = 16;

const common = { source: '§8.4', level: 'must', needs: 'configured' } as const;

export const upstreamAuthorityRules: readonly Rule[] = [
  {
    ...common,
    id: 'upstream-authority.mint',
    title:
      'answers MintX509CAAndSubscribe with a chain whose first certificate is a CA for the key of the CSR, and roots',
    async check(subject) {
      const signer = newSigner();
      await using stream = await mint(subject, signer);
      requireMinted(await first(stream), signer);
      return undefined;
    },
  },
  {
    ...common,
    id: 'upstream-authority.chain',
    title: 'answers a chain that verifies up to one of the roots it answers',
    async check(subject) {
      const signer = newSigner();
      await using stream = await mint(subject, signer);
      const { x509CaChain, upstreamX509Roots } = await first(stream);
      const [leaf, ...intermediates] = x509CaChain.map(({ asn1 }) => parse(asn1, 'the chain'));
      requireThat(leaf !== undefined, 'a chain', 'none');
      const roots = upstreamX509Roots.map(({ asn1 }) => parse(asn1, 'the roots'));
      try {
        verifyChain({ leaf, intermediates, roots, now: new Date() });
      } catch (cause) {
        throw new Mismatch('a chain that verifies', messageOf(cause), { cause });
      }
      return undefined;
    },
  },
  {
    ...common,
    id: 'upstream-authority.updates',
    title: 'sends no chain, and roots always, in messages after the first',
    async check(subject) {
      await using stream = await mint(subject, newSigner());
      await first(stream);
      const updates = await collect(stream);
      for (const { x509CaChain, upstreamX509Roots } of updates) {
        requireThat(x509CaChain.length === 0, 'no chain after the first message', `${x509CaChain.length} certificates`);
        requireThat(upstreamX509Roots.length > 0, 'roots in every message', 'none');
        for (const { asn1 } of upstreamX509Roots) parse(asn1, 'the roots');
      }
      return `${updates.length} within ${UPDATES_MS / 1_000} s`;
    },
  },
  {
    ...common,
    id: 'upstream-authority.garbage-csr',
    title: 'refuses a CSR that is none',
    async check(subject) {
      const client = await clientOf(subject);
      const request = { csr: Buffer.from('no CSR'), preferredTtl: TTL_SECONDS };
      await using stream = client.mintX509CAAndSubscribe(request, { deadlineMs: CALL_MS });
      const answer = stream.receive().then((message) => message ?? Promise.reject(new Error('the stream ended')));
      await expectRefusal(answer, 'a CSR that is none');
      return undefined;
    },
  },
  {
    ...common,
    id: 'upstream-authority.again',
    title: 'mints again after a stream that the host has cancelled, and while another is open',
    async check(subject) {
      const cancelled = await mint(subject, newSigner());
      await first(cancelled);
      await cancelled[Symbol.asyncDispose]();
      await using one = await mint(subject, newSigner());
      const signer = newSigner();
      await using other = await mint(subject, signer);
      const [, minted] = await Promise.all([first(one), first(other)]);
      requireMinted(minted, signer);
      return undefined;
    },
  },
  {
    ...common,
    id: 'upstream-authority.publish',
    title: 'answers PublishJWTKeyAndSubscribe with all keys, the published one among them, or is without it',
    async check(subject) {
      const client = await clientOf(subject);
      const jwtKey = { publicKey: newSigner().publicKey, keyId: 'conformance', expiresAt: 0n, tainted: false };
      await using stream = client.publishJWTKeyAndSubscribe({ jwtKey }, { deadlineMs: CALL_MS });
      const { upstreamJwtKeys } = await first(stream, 'PublishJWTKeyAndSubscribe');
      const found = upstreamJwtKeys.find(({ keyId }) => keyId === jwtKey.keyId);
      requireThat(found !== undefined, 'the key that was published', `${upstreamJwtKeys.length} others`);
      const isSame = Buffer.compare(found.publicKey, jwtKey.publicKey) === 0;
      requireThat(isSame, 'the public key that was published', 'another one');
      for (const { keyId, publicKey } of upstreamJwtKeys) requireJwtKey(keyId, publicKey);
      return undefined;
    },
  },
  {
    ...common,
    id: 'upstream-authority.local-bundle',
    title: 'answers SubscribeToLocalBundle with roots at once, or is without it',
    async check(subject) {
      const client = await clientOf(subject);
      await using stream = client.subscribeToLocalBundle({}, { deadlineMs: CALL_MS });
      const { upstreamX509Roots, upstreamJwtKeys } = await first(stream, 'SubscribeToLocalBundle');
      requireThat(upstreamX509Roots.length > 0, 'roots', 'none');
      for (const { asn1 } of upstreamX509Roots) parse(asn1, 'the roots');
      for (const { keyId, publicKey } of upstreamJwtKeys) requireJwtKey(keyId, publicKey);
      return undefined;
    },
  },
];

async function clientOf(subject: Subject): Promise<Client<typeof UpstreamAuthorityDefinition>> {
  return await (await subject.ready()).client(UpstreamAuthorityDefinition);
}

async function mint(subject: Subject, signer: Signer): Promise<ServerStreamCall<MintX509CAResponse>> {
  const csr = await createCsr({ signer, uriNames: [`spiffe://${subject.options.trustDomain}`] });
  const client = await clientOf(subject);
  return client.mintX509CAAndSubscribe({ csr, preferredTtl: TTL_SECONDS }, { deadlineMs: CALL_MS });
}

/** @param optional its method, which a plugin may be without. @throws Mismatch, NotApplicable */
async function first<Message>(stream: ServerStreamCall<Message>, optional?: string): Promise<Message> {
  const outcome = await outcomeOf(stream.receive());
  if (!outcome.ok && outcome.status === Status.Unimplemented && optional !== undefined) {
    throw new NotApplicable(`it is without ${optional}`);
  }
  requireThat(outcome.ok, 'a first message', describeOutcome(outcome));
  requireThat(outcome.answer !== undefined, 'a first message', 'the end of the stream');
  return outcome.answer;
}

function requireMinted({ x509CaChain, upstreamX509Roots }: MintX509CAResponse, signer: Signer): void {
  const [certificate] = x509CaChain;
  requireThat(certificate !== undefined, 'a chain in the first message', 'none');
  const ca = parse(certificate.asn1, 'the chain');
  const isItsKey = Buffer.compare(ca.subjectPublicKeyInfo, signer.publicKey) === 0;
  requireThat(isItsKey, 'the public key of the CSR in the first certificate', 'another one');
  requireThat(ca.isCa, 'a CA certificate first in the chain', 'one that is no CA');
  requireThat(upstreamX509Roots.length > 0, 'roots in the first message', 'none');
}

async function collect<Message>(stream: ServerStreamCall<Message>): Promise<readonly Message[]> {
  const messages: Message[] = [];
  const late = pause(UPDATES_MS);
  while (messages.length < MAX_UPDATES) {
    const message = await Promise.race([stream.receive().catch(() => undefined), late]);
    if (message === undefined) break;
    messages.push(message);
  }
  return messages;
}

function parse(der: Uint8Array, where: string) {
  try {
    return parseCertificate(der);
  } catch (cause) {
    throw new Mismatch(`certificates that parse in ${where}`, messageOf(cause), { cause });
  }
}

function requireJwtKey(keyId: string, publicKey: Uint8Array): void {
  requireThat(keyId !== '', 'a key id for each JWT key', 'none');
  try {
    publicKeyOfSpki(publicKey);
  } catch (cause) {
    throw new Mismatch(`a public key that parses for the JWT key ${keyId}`, messageOf(cause), { cause });
  }
}
