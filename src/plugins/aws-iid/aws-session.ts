import type { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import type { EC2Client } from '@aws-sdk/client-ec2';
import type { EKSClient } from '@aws-sdk/client-eks';
import type { IAMClient } from '@aws-sdk/client-iam';
import type { OrganizationsClient } from '@aws-sdk/client-organizations';
import type { STSClient } from '@aws-sdk/client-sts';

const CONNECT_MS = 5_000;
const ANSWER_MS = 10_000;
const MAX_ATTEMPTS = 3;

export interface AwsKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly expiration?: Date;
}

/** Undefined: the SDK looks for them where AWS' programs do. */
export type AwsCredentials = AwsKeys | (() => Promise<AwsKeys>) | undefined;

/**
 * Clients of AWS' interfaces in one region under one identity. Each is part of the SDK that is loaded when first used: it is
 * much larger than all else here.
 */
export class AwsSession {
  readonly #options: ReturnType<typeof clientOptions>;
  #autoScaling: AutoScalingClient | undefined;
  #ec2: EC2Client | undefined;
  #eks: EKSClient | undefined;
  #iam: IAMClient | undefined;
  #organizations: OrganizationsClient | undefined;
  #sts: STSClient | undefined;

  /** @param endpoint in place of the region's own */
  constructor(region: string, endpoint: URL | undefined, credentials: AwsCredentials) {
    this.#options = clientOptions(region, endpoint, credentials);
  }

  async autoScaling(): Promise<AutoScalingClient> {
    const { AutoScalingClient } = await import('@aws-sdk/client-auto-scaling');
    this.#autoScaling ??= new AutoScalingClient(this.#options);
    return this.#autoScaling;
  }

  async ec2(): Promise<EC2Client> {
    const { EC2Client } = await import('@aws-sdk/client-ec2');
    this.#ec2 ??= new EC2Client(this.#options);
    return this.#ec2;
  }

  async eks(): Promise<EKSClient> {
    const { EKSClient } = await import('@aws-sdk/client-eks');
    this.#eks ??= new EKSClient(this.#options);
    return this.#eks;
  }

  async iam(): Promise<IAMClient> {
    const { IAMClient } = await import('@aws-sdk/client-iam');
    this.#iam ??= new IAMClient(this.#options);
    return this.#iam;
  }

  async organizations(): Promise<OrganizationsClient> {
    const { OrganizationsClient } = await import('@aws-sdk/client-organizations');
    this.#organizations ??= new OrganizationsClient(this.#options);
    return this.#organizations;
  }

  async sts(): Promise<STSClient> {
    const { STSClient } = await import('@aws-sdk/client-sts');
    this.#sts ??= new STSClient(this.#options);
    return this.#sts;
  }
}

function clientOptions(region: string, endpoint: URL | undefined, credentials: AwsCredentials) {
  return {
    region,
    maxAttempts: MAX_ATTEMPTS,
    requestHandler: { connectionTimeout: CONNECT_MS, requestTimeout: ANSWER_MS, throwOnRequestTimeout: true },
    ...(endpoint === undefined ? {} : { endpoint: endpoint.href }),
    ...(credentials === undefined ? {} : { credentials }),
  };
}
