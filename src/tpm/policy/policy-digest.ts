import { createHash } from 'node:crypto';
import type { BootPolicy } from './boot-policy.ts';

const digests = new WeakMap<BootPolicy, string>();

/** SHA-256, in hex, of what a policy says, whatever the order of its keys: another digest is another policy. */
export function policyDigest(policy: BootPolicy): string {
  const known = digests.get(policy);
  if (known !== undefined) return known;
  const digest = createHash('sha256').update(canonical(policy)).digest('hex');
  digests.set(policy, digest);
  return digest;
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, field]) => `${JSON.stringify(name)}:${canonical(field)}`);
  return `{${fields.join(',')}}`;
}
