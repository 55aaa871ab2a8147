import type { CaSubjectConfig, ServerConfig } from '../../config/server-config.ts';
import type { Datastore } from '../../datastore/datastore.ts';
import type { Logger } from '../../log/logger.ts';
import type { KeyManager } from '../../plugin-host/kinds/key-manager.ts';
import type { UpstreamAuthority } from '../../plugin-host/kinds/upstream-authority.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { DistinguishedName } from '../../x509/name.ts';
import type { BundleKeeper } from '../bundle-keeper.ts';
import { CaJournal } from './ca-journal.ts';
import { CaManager } from './ca-manager.ts';
import type { Composers } from './composing/composers.ts';
import { IntermediateCa } from './intermediate-ca.ts';
import { JournalNameFile } from './journal-name-file.ts';
import { MemoryKeys } from './memory-keys.ts';
import { SelfSignedAnchor } from './self-signed-anchor.ts';
import { UpstreamAnchor } from './upstream/upstream-anchor.ts';

export interface OpenAuthoritiesOptions {
  readonly config: ServerConfig;
  readonly datastore: Datastore;
  readonly keyManager: KeyManager;
  /** What signs the server's CA; absent, each CA signs itself. */
  readonly upstream: UpstreamAuthority | undefined;
  /** Who has a say in what the CA's certificate contains. */
  readonly composers: Composers;
  readonly bundle: BundleKeeper;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly clock: () => Date;
  /** Gives up a start that is under way. */
  readonly signal?: AbortSignal | undefined;
}

/** The authorities of a server, and what follows a PKI above them, if there is one. */
export interface OpenAuthorities extends AsyncDisposable {
  readonly manager: CaManager;
}

/** The authorities as the configuration has them, ready to sign. */
export async function openAuthorities(options: OpenAuthoritiesOptions): Promise<OpenAuthorities> {
  const { config, datastore, keyManager, upstream, composers, bundle, metrics, log, clock, signal } = options;
  const { trustDomain, caTtlSeconds: ttlSeconds } = config;
  await using stack = new AsyncDisposableStack();
  const anchorOptions = { bundle, trustDomain, ttlSeconds, subject: caSubject(config.caSubject), composers };
  const above =
    upstream &&
    stack.use(
      new UpstreamAnchor({ ...anchorOptions, upstream, log, clock, ...(signal === undefined ? {} : { signal }) }),
    );
  const manager = stack.use(
    await CaManager.open({
      keys: keyManager,
      ...(config.caSigning === 'intermediate' ? inMemory(options, anchorOptions.subject) : {}),
      keyType: config.caKeyType,
      jwtKeyType: config.jwtKeyType,
      ttlSeconds,
      disableJwt: config.disableJwtSvids,
      anchor: above ?? new SelfSignedAnchor(anchorOptions),
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
    }),
  );
  above?.start(manager);
  stack.defer(() => above?.[Symbol.asyncDispose]()); // first: the manager waits for what is under way above
  const owned = stack.move();
  return { manager, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** SVIDs are signed by keys in memory: X509-SVIDs below the CA, and JWT-SVIDs by keys that the bundle has. */
function inMemory({ config, bundle, log, clock }: OpenAuthoritiesOptions, subject: DistinguishedName) {
  const { trustDomain, caKeyType: keyType, caIntermediateTtlSeconds: ttlSeconds } = config;
  return {
    jwtKeys: new MemoryKeys(),
    intermediate: new IntermediateCa({ trustDomain, keyType, ttlSeconds, subject, bundle, log, clock }),
  };
}

/** Names that are not given are left out: an empty one is no name. */
export function caSubject({ country, organization, commonName }: CaSubjectConfig): DistinguishedName {
  return { country, organization, ...(commonName === '' ? {} : { commonName }) };
}
