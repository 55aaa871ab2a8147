import { isSpiffeError, SpiffeError } from '../../spiffe/error.ts';
import { parseImaKey } from '../ima/ima-signature.ts';
import type { BootPolicy } from './boot-policy.ts';

/**
 * What a schema does not see of policies: the keys of IMA are keys. For when they are read, not when the first machine comes.
 *
 * @throws SpiffeError `CONFIG_INVALID` that names the policy
 */
export function checkPolicies(policies: readonly BootPolicy[]): void {
  for (const { name, ima } of policies) {
    try {
      ima?.keys?.forEach(parseImaKey);
    } catch (cause) {
      if (!isSpiffeError(cause)) throw cause;
      throw new SpiffeError('CONFIG_INVALID', `the policy ${name}: ${cause.message}`, { cause });
    }
  }
}
