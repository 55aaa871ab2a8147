import { SpiffeError } from '../spiffe/error.ts';
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import { type Page, type PageRequest, readPage } from './page.ts';
import type { DatastoreSchema } from './schema.ts';
import { atomically, type Session } from './session.ts';

export type EndpointProfile =
  | { readonly type: 'https_web' }
  | { readonly type: 'https_spiffe'; readonly endpointSpiffeId: SpiffeId };

/** Where the bundle of another trust domain comes from. Source: SPIFFE Federation §5. */
export interface FederationRelationship {
  readonly trustDomain: TrustDomain;
  readonly bundleEndpointUrl: string;
  readonly profile: EndpointProfile;
}

export type FederationRelationshipChanges = Partial<Omit<FederationRelationship, 'trustDomain'>>;

type Row = DatastoreSchema['federation_relationship'];

export class FederationRelationshipRepository {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /** @throws SpiffeError `ALREADY_EXISTS` */
  async create(relationship: FederationRelationship): Promise<void> {
    const inserted = await this.#session.db
      .insertInto('federation_relationship')
      .values(toRow(relationship))
      .onConflict((conflict) => conflict.doNothing())
      .returning('trust_domain')
      .executeTakeFirst();
    if (inserted === undefined) {
      throw new SpiffeError(
        'ALREADY_EXISTS',
        `federation relationship with "${relationship.trustDomain}" exists already: update it`,
      );
    }
  }

  /** @throws SpiffeError `FEDERATION_NOT_FOUND` */
  async get(trustDomain: TrustDomain): Promise<FederationRelationship> {
    const relationship = await this.find(trustDomain);
    if (relationship === undefined) throw notFound(trustDomain);
    return relationship;
  }

  async find(trustDomain: TrustDomain): Promise<FederationRelationship | undefined> {
    const row = await this.#session.db
      .selectFrom('federation_relationship')
      .selectAll()
      .where('trust_domain', '=', trustDomain)
      .executeTakeFirst();
    return row === undefined ? undefined : toRelationship(row);
  }

  /** Replaces what is present in `changes`. @throws SpiffeError `FEDERATION_NOT_FOUND` */
  async update(trustDomain: TrustDomain, changes: FederationRelationshipChanges): Promise<FederationRelationship> {
    return atomically(this.#session, async ({ db }) => {
      const locked = await db
        .updateTable('federation_relationship')
        .set((eb) => ({ bundle_endpoint_url: eb.ref('bundle_endpoint_url') }))
        .where('trust_domain', '=', trustDomain)
        .returningAll()
        .executeTakeFirst();
      if (locked === undefined) throw notFound(trustDomain);
      const changed = { ...toRelationship(locked), ...changes };
      await db
        .updateTable('federation_relationship')
        .set(toRow(changed))
        .where('trust_domain', '=', trustDomain)
        .execute();
      return changed;
    });
  }

  /** In the order of trust domains; without a page, all. */
  async list(page?: PageRequest): Promise<Page<FederationRelationship>> {
    return readPage(
      page,
      ({ trustDomain }) => trustDomain,
      async (after, limit) => {
        const rows = await this.#session.db
          .selectFrom('federation_relationship')
          .selectAll()
          .where('trust_domain', '>', after)
          .orderBy('trust_domain')
          .limit(limit)
          .execute();
        return rows.map(toRelationship);
      },
    );
  }

  /** The bundle stays. @throws SpiffeError `FEDERATION_NOT_FOUND` */
  async delete(trustDomain: TrustDomain): Promise<void> {
    const deleted = await this.#session.db
      .deleteFrom('federation_relationship')
      .where('trust_domain', '=', trustDomain)
      .returning('trust_domain')
      .executeTakeFirst();
    if (deleted === undefined) throw notFound(trustDomain);
  }
}

function toRow({ trustDomain, bundleEndpointUrl, profile }: FederationRelationship): Row {
  return {
    trust_domain: trustDomain,
    bundle_endpoint_url: bundleEndpointUrl,
    bundle_endpoint_profile: profile.type,
    endpoint_spiffe_id: profile.type === 'https_spiffe' ? profile.endpointSpiffeId : '',
  };
}

function toRelationship(row: Row): FederationRelationship {
  return {
    trustDomain: row.trust_domain as TrustDomain,
    bundleEndpointUrl: row.bundle_endpoint_url,
    profile:
      row.bundle_endpoint_profile === 'https_spiffe'
        ? { type: 'https_spiffe', endpointSpiffeId: row.endpoint_spiffe_id as SpiffeId }
        : { type: 'https_web' },
  };
}

function notFound(trustDomain: TrustDomain): SpiffeError {
  return new SpiffeError('FEDERATION_NOT_FOUND', `no federation relationship with "${trustDomain}"`);
}
