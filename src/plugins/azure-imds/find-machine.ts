import { quoteText, SpiffeError, z } from '../../plugin-sdk/index.ts';
import type { VirtualMachineProof } from './attested-document.ts';
import type { ManagementApi } from './management-api.ts';

/** What Azure knows of a virtual machine. */
export interface Machine {
  readonly name: string;
  readonly location: string;
  readonly resourceGroup: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly networks: readonly NetworkInterface[];
}
export interface NetworkInterface {
  /** Resource IDs. */
  readonly securityGroup: string | undefined;
  readonly subnets: readonly string[];
}

/** Azure's naming rules for scale sets. */
const SCALE_SET_NAME = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9_])?$/;

const tags = z
  .record(
    z.string(),
    z
      .string()
      .nullish()
      .transform((value) => value ?? ''),
  )
  .nullish()
  .transform((all) => all ?? {});
const reference = z.object({ id: z.string().optional() }).nullish();
const ipConfigurations = z
  .array(z.object({ properties: z.object({ subnet: reference }).prefault({}) }))
  .nullish()
  .transform((all) => (all ?? []).flatMap(({ properties }) => properties.subnet?.id ?? []));
const networkRow = z.object({ securityGroup: z.string().nullish(), ipConfigurations });
const machineRow = z.object({
  id: z.string(),
  name: z.string(),
  location: z.string(),
  resourceGroup: z.string(),
  tags,
});
const scaleSetRow = z.object({ resourceGroup: z.string() });
const scaleSetMachine = z.object({
  name: z.string(),
  location: z.string(),
  tags,
  properties: z.object({
    vmId: z.string().optional(),
    networkProfileConfiguration: z
      .object({
        networkInterfaceConfigurations: z
          .array(z.object({ properties: z.object({ networkSecurityGroup: reference, ipConfigurations }).optional() }))
          .nullish(),
      })
      .nullish(),
  }),
});

/**
 * Finds a machine that stands by itself.
 *
 * @throws SpiffeError `ATTESTATION_DENIED` where the server sees none of that number
 * @see Azure Resource Graph, table `resources`
 */
export async function findMachine(
  { vmId, subscriptionId }: VirtualMachineProof,
  api: ManagementApi,
  signal: AbortSignal,
): Promise<Machine> {
  const query = `resources | where type =~ "microsoft.compute/virtualmachines" and tostring(properties.vmId) =~ ${quoted(vmId)} | project id, name, location, resourceGroup, tags`;
  const { id, ...machine } = only(
    await api.query(query, subscriptionId, machineRow, signal),
    `machine "${vmId}" in the subscription "${subscriptionId}"`,
  );
  const ofNetworks = `resources | where type =~ "microsoft.network/networkinterfaces" and tostring(properties.virtualMachine.id) =~ ${quoted(id)} | project securityGroup = tostring(properties.networkSecurityGroup.id), ipConfigurations = properties.ipConfigurations`;
  const rows = await api.query(ofNetworks, subscriptionId, networkRow, signal);
  const networks = rows.map(({ securityGroup, ipConfigurations: subnets }) => ({
    securityGroup: securityGroup ?? undefined,
    subnets,
  }));
  return { ...machine, networks };
}

/**
 * Finds a machine of a scale set.
 *
 * @param scaleSet as the agent says
 * @throws SpiffeError `ATTESTATION_DENIED` where the server sees none of that number in it
 */
export async function findScaleSetMachine(
  { vmId, subscriptionId: subscription }: VirtualMachineProof,
  scaleSet: string,
  api: ManagementApi,
  signal: AbortSignal,
): Promise<Machine> {
  if (!SCALE_SET_NAME.test(scaleSet)) {
    throw new SpiffeError('ARGUMENT_INVALID', `${quoteText(scaleSet)} is no name of a scale set`);
  }
  const what = `scale set "${scaleSet}" in the subscription "${subscription}"`;
  const query = `resources | where type =~ "microsoft.compute/virtualmachinescalesets" and name == ${quoted(scaleSet)} | project resourceGroup`;
  const { resourceGroup } = only(await api.query(query, subscription, scaleSetRow, signal), what);
  const place = { subscription, resourceGroup, name: scaleSet };
  for await (const { name, location, tags: machineTags, properties } of api.scaleSetMachines(
    place,
    scaleSetMachine,
    signal,
  )) {
    if (properties.vmId?.toLowerCase() !== vmId.toLowerCase()) continue;
    const interfaces = properties.networkProfileConfiguration?.networkInterfaceConfigurations ?? [];
    const networks = interfaces.map(({ properties: of }) => ({
      securityGroup: of?.networkSecurityGroup?.id,
      subnets: of?.ipConfigurations ?? [],
    }));
    return { name, location, resourceGroup, tags: machineTags, networks };
  }
  throw new SpiffeError('ATTESTATION_DENIED', `there is no machine "${vmId}" in the ${what}`);
}

/** A literal of the query language. */
function quoted(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

function only<T>(found: readonly T[], what: string): T {
  const [first, ...more] = found;
  if (first !== undefined && more.length === 0) return first;
  const count = first === undefined ? 'no' : String(found.length);
  throw new SpiffeError('ATTESTATION_DENIED', `this server sees ${count} ${what}, not one`);
}
