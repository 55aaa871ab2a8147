import {
  AutoScalingClient,
  CreateAutoScalingGroupCommand,
  DescribeAutoScalingGroupsCommand,
} from '@aws-sdk/client-auto-scaling';
import {
  CreateSecurityGroupCommand,
  EC2Client,
  type Instance,
  RunInstancesCommand,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2';
import { CreateClusterCommand, CreateNodegroupCommand, EKSClient } from '@aws-sdk/client-eks';
import {
  AddRoleToInstanceProfileCommand,
  CreateInstanceProfileCommand,
  CreateRoleCommand,
  IAMClient,
} from '@aws-sdk/client-iam';
import { CreateAccountCommand, CreateOrganizationCommand, OrganizationsClient } from '@aws-sdk/client-organizations';
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import { REGION } from './ec2-instance.ts';

/** Moto's own account, to which any keys belong that it did not give out. */
export const MAIN_ACCOUNT = '123456789012';
const IMAGE = 'ami-03cf127a';

interface Options {
  readonly region: string;
  readonly endpoint: string;
  readonly credentials: {
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly sessionToken?: string;
  };
}

/** What an account of AWS has in it, made in moto. */
export class AwsAccount {
  readonly #options: Options;

  private constructor(options: Options) {
    this.#options = options;
  }

  static main(endpoint: string): AwsAccount {
    return new AwsAccount({ region: REGION, endpoint, credentials: { accessKeyId: 'test', secretAccessKey: 'test' } });
  }

  /** Another one, by a role in it. */
  async other(accountId: string): Promise<AwsAccount> {
    const sts = new STSClient(this.#options);
    const input = { RoleArn: `arn:aws:iam::${accountId}:role/builder`, RoleSessionName: 'test' };
    const { Credentials: keys } = await sts.send(new AssumeRoleCommand(input));
    const {
      AccessKeyId: accessKeyId = '',
      SecretAccessKey: secretAccessKey = '',
      SessionToken: sessionToken = '',
    } = keys ?? {};
    return new AwsAccount({ ...this.#options, credentials: { accessKeyId, secretAccessKey, sessionToken } });
  }

  /** With two tags and a security group. */
  async runInstance(profile?: string): Promise<Instance> {
    const ec2 = new EC2Client(this.#options);
    const group = await ec2.send(
      new CreateSecurityGroupCommand({ GroupName: `web-${crypto.randomUUID()}`, Description: 'x' }),
    );
    const { Instances: instances = [] } = await ec2.send(
      new RunInstancesCommand({
        ...{ ImageId: IMAGE, MinCount: 1, MaxCount: 1, SecurityGroupIds: [group.GroupId ?? ''] },
        TagSpecifications: [
          {
            ResourceType: 'instance',
            Tags: [
              { Key: 'name', Value: 'blog' },
              { Key: 'env', Value: '' },
            ],
          },
        ],
        ...(profile === undefined ? {} : { IamInstanceProfile: { Name: profile } }),
      }),
    );
    const [instance] = instances;
    if (instance === undefined) throw new Error('moto ran no instance');
    return instance;
  }

  async terminate({ InstanceId: id = '' }: Instance): Promise<void> {
    await new EC2Client(this.#options).send(new TerminateInstancesCommand({ InstanceIds: [id] }));
  }

  /** An instance profile with a role of the same name. */
  async createProfile(name: string): Promise<void> {
    const iam = new IAMClient(this.#options);
    await iam.send(new CreateRoleCommand({ RoleName: name, AssumeRolePolicyDocument: '{}' }));
    await iam.send(new CreateInstanceProfileCommand({ InstanceProfileName: name, Path: '/nodes/' }));
    await iam.send(new AddRoleToInstanceProfileCommand({ InstanceProfileName: name, RoleName: name }));
  }

  /** @returns the number of an account that belongs to it */
  async createOrganization(): Promise<string> {
    const organizations = new OrganizationsClient(this.#options);
    await organizations.send(new CreateOrganizationCommand({ FeatureSet: 'ALL' }));
    const input = { AccountName: 'member', Email: 'member@example.org' };
    const { CreateAccountStatus: status } = await organizations.send(new CreateAccountCommand(input));
    return status?.AccountId ?? '';
  }

  /** A cluster whose one node group has one new instance. @returns its number */
  async createCluster(name: string): Promise<string> {
    const eks = new EKSClient(this.#options);
    const role = `arn:aws:iam::${MAIN_ACCOUNT}:role/eks`;
    await eks.send(new CreateClusterCommand({ name, roleArn: role, resourcesVpcConfig: {} }));
    const input = { clusterName: name, nodegroupName: 'nodes', nodeRole: role, subnets: ['subnet-1'] };
    const { nodegroup } = await eks.send(new CreateNodegroupCommand(input));
    const group = nodegroup?.resources?.autoScalingGroups?.[0]?.name ?? '';
    const scaling = new AutoScalingClient(this.#options);
    const instance = await this.runInstance();
    const size = { MinSize: 0, MaxSize: 1 };
    await scaling.send(
      new CreateAutoScalingGroupCommand({
        AutoScalingGroupName: group,
        InstanceId: instance.InstanceId,
        ...size,
        DesiredCapacity: 1,
        AvailabilityZones: [`${REGION}a`],
      }),
    );
    const { AutoScalingGroups: groups = [] } = await scaling.send(
      new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [group] }),
    );
    return groups[0]?.Instances?.[0]?.InstanceId ?? '';
  }
}
