import { z } from 'zod';
import { choice, optionalText, requiredText } from './fields.ts';

/** Where traces go. Ours: SPIRE has none. */
export interface TracesConfig {
  /** A URL, without the path that OTLP has of its own. */
  readonly endpoint: string;
  readonly protocol: 'http/protobuf' | 'grpc';
  /** Of the traces that begin here, 0 to 1. */
  readonly samplingRatio: number;
  /** PEM of who may answer at an `https` endpoint, in place of the authorities that Node knows. */
  readonly caFile: string | undefined;
}

const endpoint = requiredText.transform((text, ctx) => {
  const url = URL.parse(text);
  if (url !== null && /^https?:$/.test(url.protocol) && url.username === '' && url.search === '' && url.hash === '') {
    return text;
  }
  ctx.addIssue('must be a URL of an OTLP receiver, such as "http://localhost:4318" or "https://collector:4317"');
  return z.NEVER;
});

export const tracesConfig = z
  .strictObject({
    endpoint,
    protocol: choice(['http/protobuf', 'grpc']).default('http/protobuf'),
    sampling_ratio: z.number().min(0, { error: 'must be 0 to 1' }).max(1, { error: 'must be 0 to 1' }).default(1),
    ca_file: optionalText,
  })
  .superRefine(({ endpoint: url, protocol, ca_file }, ctx) => {
    if (ca_file !== undefined && !url.startsWith('https:')) {
      ctx.addIssue({ code: 'custom', path: ['ca_file'], message: 'is for an "https" endpoint, which this is not' });
    }
    if (protocol === 'grpc' && (URL.parse(url)?.pathname ?? '/') !== '/') {
      ctx.addIssue({ code: 'custom', path: ['endpoint'], message: 'has a path, which gRPC has no use for' });
    }
  })
  .transform(
    (raw): TracesConfig => ({
      endpoint: raw.endpoint,
      protocol: raw.protocol,
      samplingRatio: raw.sampling_ratio,
      caFile: raw.ca_file,
    }),
  );
