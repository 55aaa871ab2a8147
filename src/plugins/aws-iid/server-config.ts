import { durationMs, flag, optionalText, orUnset, textList, z } from '../../plugin-sdk/index.ts';
import { apiUrl } from '../cloud/api-url.ts';

const LEAST_LIST_MS = 60_000;
const DEFAULT_ORGANIZATION_REGION = 'us-west-2';

const accountId = z.string().regex(/^\d{12}$/, { error: 'must be an account of AWS, which has 12 digits' });
const roleName = z.string().regex(/^[\w+=,.@/-]{1,512}$/, { error: 'must be the name of a role, without "arn:"' });
const regionName = z.string().regex(/^[a-z0-9-]{1,64}$/, { error: 'must be a region of AWS, such as "us-west-2"' });

const organization = z
  .strictObject({
    management_account_id: orUnset(accountId),
    management_account_region: orUnset(regionName).transform((region) => region ?? DEFAULT_ORGANIZATION_REGION),
    assume_org_role: orUnset(roleName),
    org_account_map_ttl: durationMs
      .refine((ms) => ms >= LEAST_LIST_MS, { error: 'must be one minute or more, such as "3m"' })
      .prefault('3m'),
    account_list_file: optionalText,
  })
  .refine(
    ({ management_account_id: account, assume_org_role: role, account_list_file: file }) =>
      file === undefined ? account !== undefined && role !== undefined : account === undefined && role === undefined,
    { error: 'needs either "management_account_id" and "assume_org_role", or "account_list_file" alone' },
  );

/** `plugin_data` of the server's `aws_iid` node attestor: docs/plugins/aws-iid.md. */
export const awsServerConfig = z
  .strictObject({
    access_key_id: optionalText,
    secret_access_key: optionalText,
    skip_block_device: flag,
    disable_instance_profile_selectors: flag,
    account_ids_for_local_validation: textList,
    agent_path_template: optionalText,
    assume_role: orUnset(roleName),
    partition: orUnset(
      z.enum(['aws', 'aws-cn', 'aws-us-gov'], { error: 'must be "aws", "aws-cn" or "aws-us-gov"' }),
    ).transform((partition) => partition ?? 'aws'),
    verify_organization: organization.optional(),
    validate_eks_cluster_membership: z
      .strictObject({
        eks_cluster_names: z
          .array(z.string().min(1))
          .min(1, { error: 'must name the clusters whose nodes are admitted' }),
      })
      .optional(),
    /** Region → PEM file, in place of the pinned ones; not SPIRE's. */
    region_certificates: z.record(z.string(), z.string().min(1)).default({}),
    /** Of all of AWS' interfaces, in place of each region's own; not SPIRE's. */
    endpoint_url: orUnset(apiUrl),
  })
  .refine(({ access_key_id: id, secret_access_key: secret }) => (id === undefined) === (secret === undefined), {
    error: 'has only one of "access_key_id" and "secret_access_key": give both or none',
  });
export type AwsServerConfig = z.output<typeof awsServerConfig>;
export type OrganizationConfig = z.output<typeof organization>;
