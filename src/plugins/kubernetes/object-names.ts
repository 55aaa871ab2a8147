import { z } from '../../plugin-sdk/index.ts';

/** Of a namespace: RFC 1123's label. */
export const namespaceName = z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, {
  error: 'must be the name of a namespace: lower case letters, digits and "-", 63 at most',
});

/** Of pods, nodes, service accounts and ConfigMaps: RFC 1123's subdomain, which needs no encoding in a path. */
export const objectName = z
  .string()
  .regex(/^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/, {
    error: 'must be the name of an object: lower case letters, digits, "-" and ".", 253 at most',
  });
