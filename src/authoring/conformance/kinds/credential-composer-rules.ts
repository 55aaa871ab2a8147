import {
  CredentialComposerDefinition,
  type X509CAAttributes,
  type X509SVIDAttributes,
} from '../../../gen/spire/plugin/server/credentialcomposer/v1/credentialcomposer.ts';
import type { Client } from '../../../rpc/client.ts';
import { fromWireX509CaAttributes, fromWireX509SvidAttributes } from '../../../rpc/plugin-credentials.ts';
import { messageOf } from '../../../spiffe/error.ts';
import { Status } from '../../../spiffe/status.ts';
import { describeOutcome, outcomeOf } from '../outcome.ts';
import { Mismatch, type Rule, requireThat } from '../rule.ts';
import { CALL_MS } from '../session.ts';
import type { Subject } from '../subject.ts';
import { newSigner } from '../throwaway-authority.ts';
import { EMPTY_NAME } from './first-call.ts';

const OPTIONS = { deadlineMs: CALL_MS };
const common = { source: '§8.7', level: 'must', needs: 'configured' } as const;
const KEPT = 'it leaves the attributes as they are';

/** What a server has at the place of a subject. */
const SUBJECT = { ...EMPTY_NAME, country: ['US'], organization: ['SPIRE'] };
const SVID: X509SVIDAttributes = { subject: SUBJECT, dnsSans: ['one.example.org'], extraExtensions: [] };
const CA: X509CAAttributes = { subject: SUBJECT, policyIdentifiers: [], extraExtensions: [] };

/** Each call answers all attributes or none; UNIMPLEMENTED is none too. */
export const credentialComposerRules: readonly Rule[] = [
  {
    ...common,
    id: 'credential-composer.server-ca',
    title: 'answers ComposeServerX509CA without attributes, or with all of them, or is without it',
    async check(subject) {
      const client = await clientOf(subject);
      const attributes = await compose(client.composeServerX509CA({ attributes: CA }, OPTIONS));
      if (attributes === undefined) return KEPT;
      return requireGood(attributes, fromWireX509CaAttributes);
    },
  },
  {
    ...common,
    id: 'credential-composer.server-svid',
    title: 'answers ComposeServerX509SVID without attributes, or with all of them, or is without it',
    async check(subject) {
      const client = await clientOf(subject);
      return judgeSvid(await compose(client.composeServerX509SVID({ attributes: SVID }, OPTIONS)));
    },
  },
  {
    ...common,
    id: 'credential-composer.agent-svid',
    title: 'answers ComposeAgentX509SVID without attributes, or with all of them, or is without it',
    async check(subject) {
      const client = await clientOf(subject);
      const request = { attributes: SVID, ...whose(subject, '/spire/agent/conformance/node') };
      return judgeSvid(await compose(client.composeAgentX509SVID(request, OPTIONS)));
    },
  },
  {
    ...common,
    id: 'credential-composer.workload-svid',
    title: 'answers ComposeWorkloadX509SVID without attributes, or with all of them, or is without it',
    async check(subject) {
      const client = await clientOf(subject);
      const request = { attributes: SVID, ...whose(subject, '/workload') };
      return judgeSvid(await compose(client.composeWorkloadX509SVID(request, OPTIONS)));
    },
  },
  {
    ...common,
    id: 'credential-composer.workload-jwt',
    title: 'answers ComposeWorkloadJWTSVID without attributes, or with all claims, or is without it',
    async check(subject) {
      const client = await clientOf(subject);
      const { spiffeId } = whose(subject, '/workload');
      const claims = { sub: spiffeId, aud: ['conformance'], exp: 1_900_000_000, iat: 1_800_000_000 };
      const attributes = await compose(client.composeWorkloadJWTSVID({ attributes: { claims }, spiffeId }, OPTIONS));
      if (attributes === undefined) return KEPT;
      requireThat(attributes.claims !== undefined, 'claims in the attributes', 'none');
      return undefined;
    },
  },
];

async function clientOf(subject: Subject): Promise<Client<typeof CredentialComposerDefinition>> {
  return await (await subject.ready()).client(CredentialComposerDefinition);
}

function whose({ options }: Subject, path: string): { readonly spiffeId: string; readonly publicKey: Uint8Array } {
  return { spiffeId: `spiffe://${options.trustDomain}${path}`, publicKey: newSigner().publicKey };
}

async function compose<Attributes>(
  call: Promise<{ readonly attributes: Attributes | undefined }>,
): Promise<Attributes | undefined> {
  const outcome = await outcomeOf(call);
  if (outcome.ok) return outcome.answer.attributes;
  requireThat(outcome.status === Status.Unimplemented, 'an answer or UNIMPLEMENTED', describeOutcome(outcome));
  return undefined;
}

function judgeSvid(attributes: X509SVIDAttributes | undefined): string | undefined {
  return attributes === undefined ? KEPT : requireGood(attributes, fromWireX509SvidAttributes);
}

/** The subject there, every name and object identifier well-formed. */
function requireGood<Wire>(attributes: Wire, parse: (attributes: Wire) => unknown): undefined {
  try {
    parse(attributes);
    return undefined;
  } catch (cause) {
    throw new Mismatch('attributes that a host can use, the subject among them', messageOf(cause), { cause });
  }
}
