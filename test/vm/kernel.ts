import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/** The files of Debian's kernel, taken out of its package by set-up. */
export interface Kernel {
  /** With its EFI stub. */
  readonly image: string;
  /** What the machine needs and the kernel does not have built in: each after those that it needs. */
  readonly modules: readonly string[];
}

const MODULES = [
  'virtio/virtio_ring',
  'virtio/virtio',
  'virtio/virtio_pci_modern_dev',
  'virtio/virtio_pci_legacy_dev',
  'virtio/virtio_pci',
  'block/virtio_blk',
  'char/virtio_console',
  '../net/core/failover',
  'net/net_failover',
  'net/virtio_net',
];

export function findKernel(): Kernel {
  const folder = process.env.ASSAYER_TEST_MACHINE;
  if (folder === undefined) throw new Error('there is no kernel to boot: run "npm run test:vm"');
  const [version] = readdirSync(join(folder, 'lib', 'modules'));
  if (version === undefined) throw new Error(`${folder} has no modules: remove it, then run "npm run test:vm"`);
  const drivers = join(folder, 'lib', 'modules', version, 'kernel', 'drivers');
  return {
    image: join(folder, 'boot', `vmlinuz-${version}`),
    modules: MODULES.map((name) => join(drivers, `${name}.ko`)),
  };
}
