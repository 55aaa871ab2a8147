import { type Datastore, openDatastore } from '../../../src/datastore/datastore.ts';
import type { KeyManager } from '../../../src/plugin-host/kinds/key-manager.ts';
import { BundleKeeper } from '../../../src/server/bundle-keeper.ts';
import type { AuthorityKeys } from '../../../src/server/ca/authority-keys.ts';
import type { CaAnchor } from '../../../src/server/ca/ca-anchor.ts';
import { CaJournal } from '../../../src/server/ca/ca-journal.ts';
import { CaManager } from '../../../src/server/ca/ca-manager.ts';
import { Composers } from '../../../src/server/ca/composing/composers.ts';
import { IntermediateCa } from '../../../src/server/ca/intermediate-ca.ts';
import { JournalNameFile } from '../../../src/server/ca/journal-name-file.ts';
import { MemoryKeys } from '../../../src/server/ca/memory-keys.ts';
import { SelfSignedAnchor } from '../../../src/server/ca/self-signed-anchor.ts';
import { SvidIssuer } from '../../../src/server/ca/svid-issuer.ts';
import { parseTrustDomain } from '../../../src/spiffe/trust-domain.ts';
import { MetricFilter } from '../../../src/telemetry/metric-filter.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';
import type { KeyType, Signer } from '../../../src/x509/signer.ts';
import { builtPlugin } from '../../harness/built-programs.ts';
import { pluginConfig, SQL, TestHost } from '../../plugin-host/go-plugins.ts';
import { Faults } from './faults.ts';

export const trustDomain = parseTrustDomain('example.org');

const BUNDLE_WRITES = [
  'create',
  'set',
  'append',
  'appendUnrevoked',
  'prune',
  'delete',
  'taintX509Authority',
  'revokeX509Authority',
  'taintJwtAuthority',
  'revokeJwtAuthority',
] as const;

export interface AuthoritiesOptions {
  readonly folder: string;
  readonly clock: () => Date;
  readonly keyManager?: 'memory' | 'disk';
  /** In place of a key manager's process. */
  readonly keys?: LastingKeys;
  /** In place of itself. */
  readonly anchor?: (bundle: BundleKeeper) => CaAnchor;
  /** Fails the writes that a test wants to fail. */
  readonly faults?: Faults;
  /** In place of the folder's own. */
  readonly dataFolder?: string;
  readonly keyType?: KeyType;
  readonly ttlSeconds?: number;
  readonly jwtKeyType?: KeyType;
  /** `ca_signing = "intermediate"`, with this lifetime. */
  readonly intermediateTtlSeconds?: number;
}

/** A CA with its datastore and a key manager's process, as a server has them. */
export class Authorities implements AsyncDisposable {
  readonly manager: CaManager;
  readonly bundle: BundleKeeper;
  readonly journal: CaJournal;
  readonly datastore: Datastore;
  readonly issuer: SvidIssuer;
  readonly metrics: Metrics;
  readonly #resources: AsyncDisposableStack;

  private constructor(
    resources: AsyncDisposableStack,
    parts: Pick<Authorities, 'manager' | 'bundle' | 'journal' | 'datastore' | 'metrics'>,
    clock: () => Date,
  ) {
    this.#resources = resources;
    this.manager = parts.manager;
    this.bundle = parts.bundle;
    this.journal = parts.journal;
    this.datastore = parts.datastore;
    this.metrics = parts.metrics;
    this.issuer = new SvidIssuer(parts.manager, {
      clock,
      metrics: parts.metrics,
      composers: new Composers([]),
      downstreamCa: { trustDomain, subject: {}, ttlSeconds: 3600 },
    });
  }

  static async open(options: AuthoritiesOptions): Promise<Authorities> {
    const { folder, clock, keyManager = 'disk', keyType = 'ec-p256', ttlSeconds = 24 * 3600 } = options;
    await using resources = new AsyncDisposableStack();
    const datastore = resources.use(await openDatastore({ path: `${folder}/datastore.sqlite3`, clock }));
    const host = new TestHost();
    const { faults = new Faults() } = options;
    const keys = options.keys ?? (await openKeyManager(host, keyManager, folder, resources));
    const bundle = await BundleKeeper.open(faults.into(datastore.bundles, BUNDLE_WRITES), trustDomain);
    const journal = await CaJournal.open({
      repository: faults.into(datastore.caJournal, ['set', 'delete']),
      keys: await keys.getKeys(),
      nameFile: faults.into(new JournalNameFile(options.dataFolder ?? folder), ['write']),
      log: host.log,
    });
    const filter = new MetricFilter({ allowedPrefixes: [], blockedPrefixes: [], allowedLabels: [], blockedLabels: [] });
    const metrics = new Metrics({ prefix: 'spire_server', labels: [], filter });
    const subject = { country: 'US' };
    const inMemory =
      options.intermediateTtlSeconds === undefined
        ? {}
        : {
            jwtKeys: new MemoryKeys(),
            intermediate: new IntermediateCa({
              trustDomain,
              keyType,
              ttlSeconds: options.intermediateTtlSeconds,
              subject,
              bundle,
              log: host.log,
              clock,
            }),
          };
    const manager = resources.use(
      await CaManager.open({
        keys: faults.into<AuthorityKeys>(keys, ['generateKey']),
        ...inMemory,
        journal,
        bundle,
        anchor:
          options.anchor?.(bundle) ??
          new SelfSignedAnchor({ bundle, trustDomain, ttlSeconds, composers: new Composers([]), subject }),
        trustDomain,
        keyType,
        jwtKeyType: options.jwtKeyType ?? keyType,
        disableJwt: false,
        ttlSeconds,
        metrics,
        log: host.log,
        clock,
      }),
    );
    return new Authorities(resources.move(), { manager, bundle, journal, datastore, metrics }, clock);
  }

  /** The state of each kind's records, such as `A active, B prepared`. */
  get states(): { readonly x509: string; readonly jwt: string } {
    const { x509, jwt } = this.journal.content;
    const describe = (records: readonly { slot: string; state: string }[]) =>
      records
        .map(({ slot, state }) => `${slot} ${state}`)
        .sort()
        .join(', ');
    return { x509: describe(x509), jwt: describe(jwt) };
  }

  /** What signs now. */
  get ids(): readonly string[] {
    return [this.manager.x509.authorityId, this.manager.jwt.keyId];
  }

  /** How many authorities of each kind the stored bundle has. */
  async bundleSizes(): Promise<readonly number[]> {
    const { x509Authorities, jwtAuthorities } = await this.datastore.bundles.get(trustDomain);
    return [x509Authorities.length, jwtAuthorities.length];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

/** A key manager that outlives the server, without a process. */
export class LastingKeys extends MemoryKeys {
  readonly #ids = new Set<string>();

  override async generateKey(id: string, type: KeyType): Promise<Signer> {
    this.#ids.add(id);
    return super.generateKey(id, type);
  }

  async getKeys(): Promise<readonly { readonly id: string; readonly publicKey: Uint8Array }[]> {
    const keys = await Promise.all([...this.#ids].map(async (id) => ({ id, signer: await this.findKey(id) })));
    return keys.flatMap(({ id, signer }) => (signer === undefined ? [] : [{ id, publicKey: signer.publicKey }]));
  }
}

async function openKeyManager(
  host: TestHost,
  name: 'memory' | 'disk',
  folder: string,
  resources: AsyncDisposableStack,
): Promise<KeyManager> {
  const plugin = pluginConfig({
    type: 'KeyManager',
    name,
    command: process.execPath,
    args: [builtPlugin('server', name)],
    data: { text: name === 'disk' ? `keys_path = "${folder}/keys.json"` : '' },
  });
  return resources.use(await host.load('server', [SQL, plugin])).keyManager;
}
