import { RecentMap, SpiffeError } from '../../plugin-sdk/index.ts';
import { askAws } from './ask-aws.ts';
import type { AwsSession } from './aws-session.ts';
import { MembershipList } from './membership-list.ts';

const DEADLINE_MS = 20_000;
const LIFETIME_MS = 30_000;
const MAX_LISTS = 256;
const MAX_PAGES = 1_000;

/** The instances in the node groups of clusters, for each account and region by itself. */
export class EksNodes {
  readonly #clusters: readonly string[];
  readonly #lists = new RecentMap<AwsSession, MembershipList>(MAX_LISTS);

  constructor(clusters: readonly string[]) {
    this.#clusters = clusters;
  }

  async has(instanceId: string, session: AwsSession): Promise<boolean> {
    let list = this.#lists.get(session);
    if (list === undefined) {
      list = new MembershipList(() => listInstances(session, this.#clusters), LIFETIME_MS);
      this.#lists.set(session, list);
    }
    return await list.has(instanceId);
  }
}

async function listInstances(session: AwsSession, clusters: readonly string[]): Promise<ReadonlySet<string>> {
  const abortSignal = AbortSignal.timeout(DEADLINE_MS);
  const instances = new Set<string>();
  for (const cluster of clusters) {
    for (const group of await listGroups(session, cluster, abortSignal)) {
      for (const id of await instancesIn(session, group, abortSignal)) instances.add(id);
    }
  }
  return instances;
}

/** Names of the Auto Scaling groups behind a cluster's node groups. @see Amazon EKS API, ListNodegroups, DescribeNodegroup */
async function listGroups(session: AwsSession, cluster: string, abortSignal: AbortSignal): Promise<readonly string[]> {
  const { DescribeNodegroupCommand, ListNodegroupsCommand } = await import('@aws-sdk/client-eks');
  const client = await session.eks();
  const nodeGroups = await pages(`EKS for the cluster "${cluster}"`, async (nextToken) => {
    const { nodegroups = [], nextToken: next } = await client.send(
      new ListNodegroupsCommand({ clusterName: cluster, ...(nextToken === undefined ? {} : { nextToken }) }),
      { abortSignal },
    );
    return { items: nodegroups, next };
  });
  const groups: string[] = [];
  for (const nodegroupName of nodeGroups) {
    const { nodegroup } = await askAws(`EKS for the node group "${nodegroupName}"`, () =>
      client.send(new DescribeNodegroupCommand({ clusterName: cluster, nodegroupName }), { abortSignal }),
    );
    groups.push(...(nodegroup?.resources?.autoScalingGroups ?? []).flatMap(({ name }) => name ?? []));
  }
  return groups;
}

/** @see Amazon EC2 Auto Scaling API, DescribeAutoScalingGroups */
async function instancesIn(session: AwsSession, group: string, abortSignal: AbortSignal): Promise<readonly string[]> {
  const { DescribeAutoScalingGroupsCommand } = await import('@aws-sdk/client-auto-scaling');
  const client = await session.autoScaling();
  return await pages(`Auto Scaling for the group "${group}"`, async (nextToken) => {
    const { AutoScalingGroups: groups = [], NextToken: next } = await client.send(
      new DescribeAutoScalingGroupsCommand({
        AutoScalingGroupNames: [group],
        ...(nextToken === undefined ? {} : { NextToken: nextToken }),
      }),
      { abortSignal },
    );
    const items = groups.flatMap(({ Instances: instances = [] }) =>
      instances.flatMap(({ InstanceId: id }) => id ?? []),
    );
    return { items, next };
  });
}

interface Page {
  readonly items: readonly string[];
  readonly next: string | undefined;
}

async function pages(
  whom: string,
  fetch: (nextToken: string | undefined) => Promise<Page>,
): Promise<readonly string[]> {
  const all: string[] = [];
  let nextToken: string | undefined;
  for (let page = 0; page < MAX_PAGES; page++) {
    const { items, next } = await askAws(whom, () => fetch(nextToken));
    all.push(...items);
    if (next === undefined || next === '') return all;
    nextToken = next;
  }
  throw new SpiffeError('TOO_LARGE', `${whom} answers with more than ${MAX_PAGES} pages`);
}
