import { z } from 'zod';
import { flag, optionalPort, optionalText } from './fields.ts';

/** Where liveness and readiness are served over HTTP. Source: inventory C143 to C147. */
export interface HealthChecksConfig {
  readonly listenerEnabled: boolean;
  readonly bindAddress: string;
  readonly bindPort: number;
  readonly livePath: string;
  readonly readyPath: string;
}

export const healthChecksConfig = z
  .strictObject({
    listener_enabled: flag,
    bind_address: optionalText,
    bind_port: optionalPort,
    live_path: optionalText,
    ready_path: optionalText,
  })
  .transform(
    (raw): HealthChecksConfig => ({
      listenerEnabled: raw.listener_enabled,
      bindAddress: raw.bind_address?.replace(/^\[(.*)\]$/, '$1') ?? 'localhost',
      bindPort: raw.bind_port ?? 80,
      livePath: raw.live_path ?? '/live',
      readyPath: raw.ready_path ?? '/ready',
    }),
  )
  .superRefine(({ listenerEnabled, livePath, readyPath }, ctx) => {
    if (!listenerEnabled) return;
    for (const [key, path] of [
      ['live_path', livePath],
      ['ready_path', readyPath],
    ] as const) {
      if (/^\/[^\s?#]*$/.test(path)) continue;
      ctx.addIssue({ code: 'custom', path: [key], message: 'must be the path of a URL, such as "/live"' });
    }
    if (livePath !== readyPath) return;
    ctx.addIssue({ code: 'custom', path: ['ready_path'], message: 'must differ from live_path, which it is' });
  })
  .prefault({});
