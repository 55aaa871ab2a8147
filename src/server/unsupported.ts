import type { ServerConfig } from '../config/server-config.ts';

/** Keys of the configuration that are set and that nothing comes of: no WIT-SVIDs are issued. */
export function findUnsupported({ experimental }: ServerConfig): readonly string[] {
  const set: Readonly<Record<string, boolean>> = {
    'server.experimental.feature_flags: wit-svid': experimental.featureFlags.includes('wit-svid'),
    'server.experimental.wit_issuer': experimental.witIssuer !== undefined,
  };
  return Object.keys(set).filter((key) => set[key]);
}
