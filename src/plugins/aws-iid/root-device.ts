import type { Instance } from '@aws-sdk/client-ec2';
import { SpiffeError } from '../../plugin-sdk/index.ts';

/** SPIRE's limit. */
const MOST_APART_SECONDS = 60;

/**
 * Whoever may stop an instance may put another disk into it: a root volume has to be attached when the instance was made,
 * as its first network interface is, which can never be replaced.
 *
 * @throws SpiffeError `ATTESTATION_DENIED`
 */
export function requireOriginalRootDevice(instance: Instance): void {
  if (instance.RootDeviceType === 'instance-store') return; // it comes and goes with the instance
  const first = instance.NetworkInterfaces?.find(({ Attachment: attachment }) => attachment?.DeviceIndex === 0);
  const made = first?.Attachment?.AttachTime;
  if (made === undefined) throw denied('EC2 does not tell when its network interface 0 was attached');
  const { RootDeviceName: name } = instance;
  const root = instance.BlockDeviceMappings?.find(({ DeviceName: device }) => device !== undefined && device === name);
  const attached = root?.Ebs?.AttachTime;
  if (attached === undefined) throw denied(`EC2 does not tell when its root device "${name ?? ''}" was attached`);
  const seconds = Math.abs(Math.floor(made.getTime() / 1000) - Math.floor(attached.getTime() / 1000));
  if (seconds > MOST_APART_SECONDS) {
    throw denied(`its root device was attached ${seconds} s apart from its network interface 0: was it replaced?`);
  }
}

const denied = (what: string) =>
  new SpiffeError(
    'ATTESTATION_DENIED',
    `the instance’s disk may be another one ("skip_block_device" has this passed over): ${what}`,
  );
