import { z } from '../../plugin-sdk/index.ts';

/** Source: Azure, "Azure Instance Metadata Service for virtual machines". */
const DEFAULT_METADATA_ENDPOINT = 'http://169.254.169.254';

/** Of a tenant, such as `example.onmicrosoft.com`; its ID does as well. */
export const domainName = z
  .string({ error: 'must be the domain of a tenant, such as "example.onmicrosoft.com"' })
  .regex(/^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/, {
    error: 'must be the domain of a tenant, such as "example.onmicrosoft.com"',
  });

export const metadataEndpoint = z
  .string()
  .regex(/^http:\/\/(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?\/?$/, {
    error: 'must be a URL of http:// and a host, such as "http://169.254.169.254"',
  })
  .default(DEFAULT_METADATA_ENDPOINT)
  .transform((text) => new URL(text));
