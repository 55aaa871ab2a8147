import type { Instance } from '@aws-sdk/client-ec2';
import { SpiffeError } from '../../plugin-sdk/index.ts';
import { askAws, isAwsError } from './ask-aws.ts';
import type { AwsSession } from './aws-session.ts';

const ALIVE = [{ Name: 'instance-state-name', Values: ['pending', 'running'] }];

/**
 * What EC2 knows of an instance that runs, or is about to.
 *
 * @throws SpiffeError `ATTESTATION_DENIED` where there is none of that number in the account that the server may look into
 */
export async function describeInstance(
  session: AwsSession,
  instanceId: string,
  abortSignal: AbortSignal,
): Promise<Instance> {
  const { DescribeInstancesCommand } = await import('@aws-sdk/client-ec2');
  const client = await session.ec2();
  const command = new DescribeInstancesCommand({ InstanceIds: [instanceId], Filters: ALIVE });
  const found = await askAws(`EC2 for the instance "${instanceId}"`, async () => {
    try {
      const { Reservations: reservations = [] } = await client.send(command, { abortSignal });
      return reservations.flatMap(({ Instances: instances = [] }) => instances);
    } catch (error) {
      if (isAwsError(error, 'InvalidInstanceID.NotFound')) return [];
      throw error;
    }
  });
  const [instance, ...more] = found;
  if (instance !== undefined && more.length === 0 && instance.InstanceId === instanceId) return instance;
  throw new SpiffeError(
    'ATTESTATION_DENIED',
    `EC2 knows no instance "${instanceId}" that runs, in the account that this server looks into`,
  );
}

/** ARNs of the roles in an instance's profile; none without a profile. */
export async function findRoles(
  session: AwsSession,
  { IamInstanceProfile: profile }: Instance,
  abortSignal: AbortSignal,
): Promise<readonly string[]> {
  if (profile?.Arn === undefined) return [];
  const [, path = ''] = /^arn:[^:]*:iam:[^:]*:[^:]*:instance-profile\/(.+)$/.exec(profile.Arn) ?? [];
  const name = path.split('/').at(-1) ?? '';
  if (name === '') {
    throw new SpiffeError('UNAVAILABLE', `EC2 names "${profile.Arn}", which is no instance profile`);
  }
  const { GetInstanceProfileCommand } = await import('@aws-sdk/client-iam');
  const client = await session.iam();
  const { InstanceProfile: found } = await askAws(`IAM for the instance profile "${name}"`, () =>
    client.send(new GetInstanceProfileCommand({ InstanceProfileName: name }), { abortSignal }),
  );
  return (found?.Roles ?? []).flatMap(({ Arn: arn }) => (arn === undefined ? [] : [arn]));
}
