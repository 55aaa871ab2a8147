import type { CaSubjectConfig, ServerConfig } from '../../config/server-config.ts';
import type { Datastore } from '../../datastore/datastore.ts';
import type { Logger } from '../../log/logger.ts';
import type { KeyManager } from '../../plugin-host/kinds/key-manager.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { DistinguishedName } from '../../x509/name.ts';
import type { BundleKeeper } from '../bundle-keeper.ts';
import { CaJournal } from './ca-journal.ts';
import { CaManager } from './ca-manager.ts';
import { JournalNameFile } from './journal-name-file.ts';
import { SelfSignedAnchor } from './self-signed-anchor.ts';

export interface OpenAuthoritiesOptions {
  readonly config: ServerConfig;
  readonly datastore: Datastore;
  readonly keyManager: KeyManager;
  readonly bundle: BundleKeeper;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly clock: () => Date;
}

/** The authorities as the configuration has them, ready to sign. */
export async function openAuthorities(options: OpenAuthoritiesOptions): Promise<CaManager> {
  const { config, datastore, keyManager, bundle, metrics, log, clock } = options;
  const { trustDomain, caTtlSeconds: ttlSeconds } = config;
  return await CaManager.open({
    keys: keyManager,
    keyType: config.caKeyType,
    jwtKeyType: config.jwtKeyType,
    ttlSeconds,
    disableJwt: config.disableJwtSvids,
    anchor: new SelfSignedAnchor({ bundle, trustDomain, ttlSeconds, subject: caSubject(config.caSubject) }),
    journal: await CaJournal.open({
      repository: datastore.caJournal,
      keys: await keyManager.getKeys(),
      nameFile: new JournalNameFile(config.dataDir),
      log,
    }),
    bundle,
    trustDomain,
    metrics,
    log,
    clock,
  });
}

/** Names that are not given are left out: an empty one is no name. */
export function caSubject({ country, organization, commonName }: CaSubjectConfig): DistinguishedName {
  return { country, organization, ...(commonName === '' ? {} : { commonName }) };
}
