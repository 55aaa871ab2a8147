import { isSpiffeError, SpiffeError } from '../../spiffe/error.ts';
import type { BootPolicy } from './boot-policy.ts';
import { policyDigest } from './policy-digest.ts';
import { prepareImaRule } from './rules/ima.ts';

/**
 * What a schema does not see of policies: the keys of IMA are keys. For when they are read, not when the first machine comes: what
 * takes long the first time is done here too.
 *
 * @throws SpiffeError `CONFIG_INVALID` that names the policy
 */
export function checkPolicies(policies: readonly BootPolicy[]): void {
  for (const policy of policies) {
    const { name, ima } = policy;
    policyDigest(policy);
    try {
      if (ima !== undefined) prepareImaRule(ima);
    } catch (cause) {
      if (!isSpiffeError(cause)) throw cause;
      throw new SpiffeError('CONFIG_INVALID', `the policy ${name}: ${cause.message}`, { cause });
    }
  }
}
