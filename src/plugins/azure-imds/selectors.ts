import type { VirtualMachineProof } from './attested-document.ts';
import type { Machine, NetworkInterface } from './find-machine.ts';

const SECURITY_GROUP =
  /^\/subscriptions\/[^/]+\/resourceGroups\/([^/]+)\/providers\/Microsoft\.Network\/networkSecurityGroups\/([^/]+)$/i;
const SUBNET =
  /^\/subscriptions\/[^/]+\/resourceGroups\/[^/]+\/providers\/Microsoft\.Network\/virtualNetworks\/([^/]+)\/subnets\/([^/]+)$/i;

/** Sorted, as SPIRE has them, each once. */
export function selectorsOf(
  { subscriptionId }: VirtualMachineProof,
  machine: Machine,
  scaleSet: string | undefined,
  allowedTags: readonly string[],
): readonly string[] {
  const values = [
    ...(scaleSet === undefined ? [] : [`vmss-name:${scaleSet}`]),
    `subscription-id:${subscriptionId}`,
    `vm-name:${machine.name}`,
    `vm-location:${machine.location}`,
    `resource-group:${machine.resourceGroup}`,
    ...Object.entries(machine.tags).flatMap(([key, value]) =>
      allowedTags.includes(key) ? [`vm-tag:${key}:${value}`] : [],
    ),
    ...machine.networks.flatMap(networkSelectors),
  ];
  return [...new Set(values)].toSorted();
}

function networkSelectors({ securityGroup = '', subnets }: NetworkInterface): readonly string[] {
  const [, group, name] = SECURITY_GROUP.exec(securityGroup) ?? [];
  return [
    ...(group === undefined ? [] : [`network-security-group:${group}:${name}`]),
    ...subnets.flatMap((id) => {
      const [, network, subnet] = SUBNET.exec(id) ?? [];
      return network === undefined ? [] : [`virtual-network:${network}`, `virtual-network-subnet:${network}:${subnet}`];
    }),
  ];
}
