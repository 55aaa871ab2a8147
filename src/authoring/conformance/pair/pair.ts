import { messageOf } from '../../../spiffe/error.ts';
import { quoteText } from '../../../spiffe/quote-text.ts';
import { requireValidSelector } from '../../../spiffe/selector.ts';
import { parseSpiffeId, pathOf, trustDomainOf } from '../../../spiffe/spiffe-id.ts';
import { Doubt, Mismatch, NotApplicable, requireThat } from '../rule.ts';
import type { Subject } from '../subject.ts';
import { type ExchangeOptions, type ExchangeResult, exchange, type Halves } from './exchange.ts';

type Admission = ExchangeResult & { readonly admitted: true };

/** @throws NotApplicable where the kit was not given the other half */
export function requirePeer({ peer }: Subject): Subject {
  if (peer === undefined) throw new NotApplicable('it needs the other half: -peer COMMAND');
  return peer;
}

/** Both halves as they are shared among rules. */
export async function halvesOf(subject: Subject): Promise<Halves> {
  const peer = requirePeer(subject);
  return await arrange(subject, subject.ready(), explainPeer(peer.ready()));
}

/** Says of which half it is that it cannot be used. */
async function explainPeer<Half>(half: Promise<Half>): Promise<Half> {
  return await half.catch((cause: unknown) => {
    throw new Mismatch('an other half that can be used', messageOf(cause), { cause });
  });
}

/** @param own of the plugin under test */
export async function arrange<Half>(
  { options }: Subject,
  own: Promise<Half>,
  other: Promise<Half>,
): Promise<{ readonly server: Half; readonly agent: Half }> {
  const [mine, others] = await Promise.all([own, other]);
  return options.kind.side === 'server' ? { server: mine, agent: others } : { server: others, agent: mine };
}

/** @throws Mismatch where the node is not admitted */
export async function admit(halves: Halves, options: ExchangeOptions): Promise<Admission> {
  const result = await exchange(halves, options);
  if (!result.admitted) throw new Mismatch('agent_attributes at the end of an honest attestation', result.reason);
  return result;
}

/** What a host looks at in a verdict. @throws Mismatch, Doubt */
export function requireVerdict(subject: Subject, { attributes }: Admission, trustDomain: string): void {
  const { spiffeId, selectorValues } = attributes;
  requireThat(spiffeId !== '', 'a SPIFFE ID', 'none');
  try {
    const id = parseSpiffeId(spiffeId);
    requireThat(trustDomainOf(id) === trustDomain, `an ID in the trust domain ${trustDomain}`, quoteText(spiffeId));
    for (const value of selectorValues) requireValidSelector({ type: 'conformance', value });
    requireConvention(subject, pathOf(id), spiffeId);
  } catch (cause) {
    if (cause instanceof Mismatch || cause instanceof Doubt) throw cause;
    throw new Mismatch('a SPIFFE ID and selector values that a host can use', messageOf(cause), { cause });
  }
}

function requireConvention({ options, peer }: Subject, path: string, spiffeId: string): void {
  const name = options.name ?? peer?.options.name;
  const pattern = /^\/spire\/agent\/([^/]+)\/.+$/.exec(path);
  if (pattern !== null && (name === undefined || pattern[1] === name)) return;
  const wanted = `/spire/agent/${name ?? '<name of the plugin>'}/`;
  throw new Doubt(`expected an ID below ${wanted}, came ${quoteText(spiffeId)}: hosts warn of that`);
}
