import { z } from '../../plugin-sdk/index.ts';

/** Source: Amazon EC2 User Guide, "Access instance metadata". */
export const DEFAULT_METADATA_ENDPOINT = 'http://169.254.169.254';

/** `/latest` at its end, as older libraries of AWS have it, does not count. */
const endpoint = z.string().transform((text, ctx): URL => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '' || url.search !== '') {
    ctx.addIssue('must be a URL that starts with http:// or https://, such as "http://169.254.169.254"');
    return z.NEVER;
  }
  url.pathname = url.pathname.replace(/\/*(latest\/*)?$/, '');
  return url;
});

/** `plugin_data` of the agent's `aws_iid` node attestor: docs/plugins/aws-iid.md. */
export const awsAgentConfig = z.strictObject({
  ec2_metadata_endpoint: z
    .string()
    .default('')
    .transform((text) => (text === '' ? DEFAULT_METADATA_ENDPOINT : text))
    .pipe(endpoint),
});
export type AwsAgentConfig = z.output<typeof awsAgentConfig>;
