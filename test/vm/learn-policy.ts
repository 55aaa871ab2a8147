import type { BootPolicy } from '../../src/tpm/policy/boot-policy.ts';
import { learn } from '../../src/tpm/policy/learn.ts';
import type { FileDigests } from './images.ts';
import type { RecordedBoot } from './recorded-boot.ts';

/**
 * What an operator would require of machines like these: what they booted, and the files of their images, whether these machines opened
 * them or not.
 *
 * @param images of the initramfs and of the disk
 */
export function learnPolicy(name: string, boots: readonly RecordedBoot[], images: readonly FileDigests[]): BootPolicy {
  const facts = boots.map((boot) => boot.facts);
  const { ima, ...policy } = learn(facts, { name });
  if (ima === undefined) throw new Error('what IMA measured on these machines cannot be told');
  const files = images.flatMap((image) => [...image]);
  const allow = files.map(([path, digest]) => ({ path, digests: [`sha256:${digest}`] }));
  return { ...policy, ima: { ...ima, allow: [...(ima.allow ?? []), ...allow] } };
}
