import { Doubt, Mismatch, NotApplicable, type Rule, requireThat } from '../rule.ts';
import type { Subject } from '../subject.ts';
import { newSigner } from '../throwaway-authority.ts';
import { type ExchangeResult, exchange, type Halves } from './exchange.ts';
import { overtake } from './overtake.ts';
import { admit, arrange, halvesOf, requirePeer, requireVerdict } from './pair.ts';

const common = { source: '§8.2, §8.3', level: 'must', needs: 'configured' } as const;
const OTHER_TRUST_DOMAIN = 'other.conformance.example';
/** A TPM takes its time, and does one thing after the other. */
const SLOW_MS = 300_000;

/** Both halves of a node attestor, honest. */
export const pairRules: readonly Rule[] = [
  {
    ...common,
    id: 'pair.verdict',
    title: 'admits a node by both halves: an agent ID in the trust domain, selector values',
    deadlineMs: SLOW_MS,
    async check(subject) {
      const csr = newSigner().publicKey;
      const admission = await admit(await halvesOf(subject), { serverCsr: csr, agentCsr: csr });
      requireVerdict(subject, admission, subject.options.trustDomain);
      const { spiffeId, selectorValues } = admission.attributes;
      return `${spiffeId}, ${selectorValues.length} selector values, ${admission.messages.length} messages`;
    },
  },
  {
    ...common,
    id: 'pair.again',
    title: 'admits the same node again, as the same agent',
    deadlineMs: SLOW_MS,
    async check(subject) {
      const halves = await halvesOf(subject);
      const csr = newSigner().publicKey;
      const first = await admit(halves, { serverCsr: csr, agentCsr: csr });
      const second = await admit(halves, { serverCsr: csr, agentCsr: csr });
      const [before, after] = [first, second].map(({ attributes }) => attributes.spiffeId);
      if (before !== after)
        throw new Doubt(`expected ${before} again, came ${after}: a node that becomes another agent`);
      return undefined;
    },
  },
  {
    ...common,
    id: 'pair.trust-domain',
    title: 'names the agent in the trust domain that it was configured with last',
    source: '§5, §8.2',
    deadlineMs: SLOW_MS,
    async check(subject) {
      const halves = await halvesOf(subject);
      const server = subject.options.kind.side === 'server' ? subject : requirePeer(subject);
      const csr = newSigner().publicKey;
      await halves.server.configure(server.options.configText, OTHER_TRUST_DOMAIN);
      try {
        const { attributes } = await admit(halves, { serverCsr: csr, agentCsr: csr });
        const isThere = attributes.spiffeId.startsWith(`spiffe://${OTHER_TRUST_DOMAIN}/`);
        requireThat(isThere, `an ID in ${OTHER_TRUST_DOMAIN}`, attributes.spiffeId);
      } finally {
        await halves.server.configure(server.options.configText);
      }
      return undefined;
    },
  },
  {
    ...common,
    id: 'pair.no-csr',
    title: 'admits a node, or refuses it, where the host does not tell the key of the CSR, as under SPIRE',
    source: '§8.2a',
    deadlineMs: SLOW_MS,
    async check(subject) {
      const result = await exchange(await halvesOf(subject), {});
      if (!result.admitted) return `it refuses: ${result.reason}`;
      requireNoClaim(result, 'without a key');
      return 'it admits';
    },
  },
  {
    ...common,
    id: 'pair.csr-binding',
    title: 'claims csr:bound for no agent whose two halves know of different keys of a CSR',
    source: '§8.2a',
    deadlineMs: SLOW_MS,
    async check(subject) {
      const keys = { serverCsr: newSigner().publicKey, agentCsr: newSigner().publicKey };
      const result = await exchange(await halvesOf(subject), keys);
      if (!result.admitted) return 'it refuses: the proof is bound to the key of the CSR';
      requireNoClaim(result, 'with another key');
      return 'it admits: nothing is bound to the key of the CSR';
    },
  },
  {
    ...common,
    id: 'pair.at-once',
    title: 'admits a node twice at once, each time with what belongs to it',
    deadlineMs: SLOW_MS,
    async check(subject) {
      const halves = await halvesOf(subject);
      const keys = [newSigner().publicKey, newSigner().publicKey] as const;
      const runs = keys.map((csr) => admit(halves, { serverCsr: csr, agentCsr: csr }));
      const results = await Promise.all(runs);
      for (const [index, { attributes }] of results.entries()) {
        const other = Buffer.from(keys[index === 0 ? 1 : 0]).toString('hex');
        const isMixed = attributes.selectorValues.some((value) => value.includes(other));
        requireThat(!isMixed, 'selector values of its own CSR', "those of the other attestation's");
      }
      return undefined;
    },
  },
  {
    ...common,
    id: 'pair.overtaken',
    title: 'admits nobody by an answer to the challenge of another attestation, and still admits by its own',
    deadlineMs: SLOW_MS,
    check: async (subject) => await overtake(await halvesOf(subject)),
  },
  {
    ...common,
    id: 'pair.auto-mtls',
    title: 'admits a node where both halves are spoken to over AutoMTLS, host services too',
    source: '§3',
    level: 'should',
    deadlineMs: SLOW_MS,
    async check(subject) {
      const halves = await secureHalves(subject);
      const csr = newSigner().publicKey;
      await admit(halves, { serverCsr: csr, agentCsr: csr });
      return undefined;
    },
  },
];

async function secureHalves(subject: Subject): Promise<Halves> {
  const peer = requirePeer(subject);
  const halves = await arrange(subject, subject.start({ autoMtls: true }), peer.start({ autoMtls: true }));
  for (const half of [halves.server, halves.agent]) {
    if (half.trial.autoMtls === undefined) throw new NotApplicable('a half offers no AutoMTLS');
    await half.ready();
  }
  return halves;
}

function requireNoClaim(result: ExchangeResult & { readonly admitted: true }, how: string): void {
  if (!result.attributes.selectorValues.includes('csr:bound')) return;
  throw new Mismatch(`a refusal ${how}, or no claim to be bound`, 'the selector value csr:bound');
}
