import { defineCredentialComposer, type JwtSvidAttributes, type X509SvidAttributes, z } from 'assayer/plugin-sdk';

const config = z.strictObject({ organization: z.string().min(1).max(64) });

export function composeX509(attributes: X509SvidAttributes, organization: string): X509SvidAttributes {
  return { ...attributes, subject: { ...attributes.subject, organization } };
}

export function composeJwt({ claims }: JwtSvidAttributes, organization: string): JwtSvidAttributes {
  return { claims: { ...claims, org: organization } };
}

export const plugin = defineCredentialComposer({
  name: '__NAME__',
  config,
  configure: ({ organization }) => ({ organization }),
  composeWorkloadX509Svid: async (_of, attributes, { organization }) => composeX509(attributes, organization),
  composeWorkloadJwtSvid: async (_spiffeId, attributes, { organization }) => composeJwt(attributes, organization),
});
