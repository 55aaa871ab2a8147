import { z } from 'zod';
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import { flag, onEveryBlock, optionalText, requiredPort, spiffeIdText, textList } from './fields.ts';
import { type TracesConfig, tracesConfig } from './traces-config.ts';

/** Where metrics go. Source: inventory C148 to C159. */
export interface TelemetryConfig {
  readonly inMemory: boolean;
  readonly prometheus: PrometheusConfig | undefined;
  readonly traces: TracesConfig | undefined;
  readonly dogStatsd: readonly StatsdConfig[];
  readonly statsd: readonly StatsdConfig[];
  readonly m3: readonly M3Config[];
  readonly metricPrefix: string | undefined;
  readonly enableTrustDomainLabel: boolean;
  readonly enableHostnameLabel: boolean;
  readonly allowedPrefixes: readonly string[];
  readonly blockedPrefixes: readonly string[];
  readonly allowedLabels: readonly string[];
  readonly blockedLabels: readonly string[];
}

export interface PrometheusConfig {
  readonly host: string;
  readonly port: number;
  readonly tls: PrometheusTlsConfig | undefined;
}

export interface PrometheusTlsConfig {
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
  readonly clientCaFile: string | undefined;
  readonly useSpireSvid: boolean;
  readonly authorizedSpiffeIds: readonly SpiffeId[];
}

export interface StatsdConfig {
  readonly address: string;
}

export interface M3Config {
  readonly address: string;
  readonly env: string;
}

/** Of a UDP socket. */
const address = z.string().refine((text) => /^(\[[0-9a-fA-F:.]+\]|[^\s:[\]/]+):([1-9]\d{0,4})$/.test(text), {
  error: 'must be a host and a port, such as "localhost:8125"',
});
const statsd = z.strictObject({ address });

const prometheusTls = z
  .strictObject({
    cert_file: optionalText,
    key_file: optionalText,
    client_ca_file: optionalText,
    use_spire_svid: flag,
    authorized_spiffe_ids: z.array(spiffeIdText).default([]),
  })
  .superRefine((raw, ctx) => {
    const files = [raw.cert_file, raw.key_file].filter((path) => path !== undefined);
    if (!raw.use_spire_svid && files.length < 2) {
      ctx.addIssue('needs "cert_file" and "key_file", or "use_spire_svid = true"');
    }
    if (raw.use_spire_svid && files.length > 0) {
      ctx.addIssue(
        'has "use_spire_svid = true", with which "cert_file" and "key_file" are not used: remove one or the other',
      );
    }
    if (raw.client_ca_file !== undefined && raw.authorized_spiffe_ids.length > 0) {
      ctx.addIssue('has "client_ca_file" and "authorized_spiffe_ids": clients are known by one or the other');
    }
    if (raw.client_ca_file !== undefined && raw.use_spire_svid) {
      ctx.addIssue(
        'has "use_spire_svid = true", with which clients are known by "authorized_spiffe_ids", not by "client_ca_file"',
      );
    }
  }, onEveryBlock)
  .transform(
    (raw): PrometheusTlsConfig => ({
      certFile: raw.cert_file,
      keyFile: raw.key_file,
      clientCaFile: raw.client_ca_file,
      useSpireSvid: raw.use_spire_svid,
      authorizedSpiffeIds: raw.authorized_spiffe_ids,
    }),
  );

const prometheus = z
  .strictObject({ host: optionalText, port: requiredPort, tls: prometheusTls.optional() })
  .transform((raw): PrometheusConfig => ({ host: raw.host ?? 'localhost', port: raw.port, tls: raw.tls }));

export const telemetryConfig = z
  .strictObject({
    InMem: z.strictObject({}).optional(),
    Prometheus: prometheus.optional(),
    Traces: tracesConfig.optional(),
    DogStatsd: z.array(statsd).default([]),
    Statsd: z.array(statsd).default([]),
    M3: z.array(z.strictObject({ address, env: z.string() })).default([]),
    MetricPrefix: optionalText,
    EnableTrustDomainLabel: flag,
    EnableHostnameLabel: z.boolean().default(true),
    AllowedPrefixes: textList,
    BlockedPrefixes: textList,
    AllowedLabels: textList,
    BlockedLabels: textList,
  })
  .transform(
    (raw): TelemetryConfig => ({
      inMemory: raw.InMem !== undefined,
      prometheus: raw.Prometheus,
      traces: raw.Traces,
      dogStatsd: raw.DogStatsd,
      statsd: raw.Statsd,
      m3: raw.M3,
      metricPrefix: raw.MetricPrefix,
      enableTrustDomainLabel: raw.EnableTrustDomainLabel,
      enableHostnameLabel: raw.EnableHostnameLabel,
      allowedPrefixes: raw.AllowedPrefixes,
      blockedPrefixes: raw.BlockedPrefixes,
      allowedLabels: raw.AllowedLabels,
      blockedLabels: raw.BlockedLabels,
    }),
  )
  .prefault({});
