import type { SdsConfig } from '../../config/agent-config.ts';
import type { Any } from '../../gen/google/protobuf/any.ts';
import type { Bundle } from '../../spiffe/bundle.ts';
import type { AuthorizedEntry } from '../server-api/authorized-entry.ts';
import type { WorkloadView } from '../workloads/workload-cache.ts';
import { authoritiesSecret, certificateSecret, spiffeValidatorSecret } from './secret.ts';

export interface SecretOptions {
  readonly sds: SdsConfig;
  /** Whether peers are verified by Envoy's SPIFFE validator. */
  readonly spiffeValidator: boolean;
}

export interface FoundSecrets {
  readonly secrets: readonly Any[];
  /** Names of certificates that the caller is entitled to and that are being signed. */
  readonly awaited: readonly string[];
  /** Names that nothing is given for, each with the reason as a sentence's end. */
  readonly refused: readonly { readonly name: string; readonly reason: string }[];
}

type Finding = { readonly secret: Any } | 'awaited' | { readonly refusal: string };

/** What a caller gets by these names; by none, everything that it has. Inventory C121 to C123. */
export function findSecrets(names: readonly string[], view: WorkloadView, options: SecretOptions): FoundSecrets {
  const asked = names.length > 0 ? names : allNames(view);
  const found = asked.map((name) => ({ name, finding: findSecret(name, view, options) }));
  return {
    secrets: found.flatMap(({ finding }) => (typeof finding === 'object' && 'secret' in finding ? finding.secret : [])),
    awaited: found.flatMap(({ name, finding }) => (finding === 'awaited' ? name : [])),
    refused: found.flatMap(({ name, finding }) =>
      typeof finding === 'object' && 'refusal' in finding ? { name, reason: finding.refusal } : [],
    ),
  };
}

function allNames({ bundle, federatedBundles, entries }: WorkloadView): readonly string[] {
  const bundles = [bundle, ...federatedBundles].map(({ trustDomain }) => idOf(trustDomain));
  return [...new Set([...bundles, ...entries.map(({ spiffeId }) => spiffeId)])];
}

function findSecret(name: string, view: WorkloadView, options: SecretOptions): Finding {
  const { entries, bundle, federatedBundles } = view;
  const { defaultSvidName, defaultBundleName, defaultAllBundlesName } = options.sds;
  const bundles = [bundle, ...federatedBundles];
  switch (name) {
    case defaultSvidName:
      return certificateOf(name, entries.slice(0, 1), view);
    case defaultBundleName:
      return validationBy(name, [bundle], options);
    case defaultAllBundlesName:
      return validationBy(name, bundles, options);
  }
  if (!name.startsWith('spiffe://')) {
    return {
      refusal: `it is no name here: an SVID is "${defaultSvidName}" or a SPIFFE ID, a bundle "${defaultBundleName}", "${defaultAllBundlesName}" or a trust domain's ID`,
    };
  }
  const named = bundles.find(({ trustDomain }) => idOf(trustDomain) === name);
  if (named !== undefined) return validationBy(name, [named], options);
  const entitling = entries.filter(({ spiffeId }) => spiffeId === name);
  if (entitling.length > 0) return certificateOf(name, entitling, view);
  return { refusal: 'no entry of the caller has this SPIFFE ID or federates with this trust domain' };
}

/** The first SVID there is; entries are the caller's. */
function certificateOf(name: string, entries: readonly AuthorizedEntry[], { identities }: WorkloadView): Finding {
  const identity = identities.find(({ entry }) => entries.includes(entry));
  return identity === undefined ? 'awaited' : { secret: certificateSecret(name, identity.svid) };
}

/** Without authorities Envoy would verify nothing: such a bundle is never given. */
function validationBy(name: string, bundles: readonly Bundle[], { spiffeValidator }: SecretOptions): Finding {
  const usable = bundles.filter(({ x509Authorities }) => x509Authorities.length > 0);
  const [first, ...others] = usable;
  if (first === undefined) return { refusal: 'its bundle has no X.509 authority yet' };
  if (spiffeValidator) return { secret: spiffeValidatorSecret(name, usable) };
  if (others.length === 0) return { secret: authoritiesSecret(name, first) };
  return {
    refusal: `bundles of ${usable.length} trust domains together need Envoy's SPIFFE validator, or each could vouch for the others' SPIFFE IDs: it is switched off, or the caller does not say that it has one`,
  };
}

const idOf = (trustDomain: string) => `spiffe://${trustDomain}`;
