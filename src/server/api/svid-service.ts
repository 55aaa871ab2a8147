import {
  type BatchNewX509SVIDResponse_Result as BatchResult,
  type NewX509SVIDParams,
  SVIDDefinition,
} from '../../gen/spire/api/server/svid/v1/svid.ts';
import type { CallContext } from '../../rpc/call.ts';
import { type BoundService, bindService } from '../../rpc/service.ts';
import type { RegistrationEntry } from '../../spiffe/entry.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import { parseSpiffeId } from '../../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import type { Access } from '../authorization/access.ts';
import type { SvidIssuer } from '../ca/svid-issuer.ts';
import { fromApiWorkloadId, requireWorkloadId } from './api-ids.ts';
import { toApiJwtSvid, toApiX509Svid } from './api-svid.ts';
import { type DownstreamDeps, newDownstreamX509Ca } from './downstream.ts';
import { ITEM_OK, itemStatus } from './item-status.ts';
import { mintSubject, requireMintableDnsNames } from './mint-names.ts';
import { requireCsr } from './require-csr.ts';

export interface SvidServiceOptions {
  readonly issuer: SvidIssuer;
  readonly trustDomain: TrustDomain;
  readonly x509SvidTtlSeconds: number;
  readonly jwtSvidTtlSeconds: number;
  readonly disableJwtSvids: boolean;
  /** Finds what the agent that calls may sign for. */
  readonly authorizedEntry: (context: CallContext) => FindEntry;
  /** What the call may see and change. */
  readonly access: (context: CallContext) => Access;
  /** Waits until the caller's address may have so many more signatures; throws to refuse. */
  readonly spend: (context: CallContext, count: number) => Promise<void>;
  readonly downstream: DownstreamDeps;
}

type FindEntry = (id: string) => RegistrationEntry | undefined;

/** SPIRE's: more than its limit of signatures a second is more than it ever signs at once. */
const MAX_BATCH = 500;

/** Inventory R050 to R055, R056. */
export function svidService(options: SvidServiceOptions): BoundService {
  const { issuer, trustDomain, x509SvidTtlSeconds, jwtSvidTtlSeconds, authorizedEntry } = options;
  const requireJwtSvids = () => {
    if (options.disableJwtSvids) throw new SpiffeError('UNIMPLEMENTED', 'JWT-SVIDs are disabled on this server');
  };
  return bindService(SVIDDefinition, {
    async mintX509SVID({ csr, ttl }, context) {
      const { subjectPublicKeyInfo: publicKey, uriNames, dnsNames, subject: wantedSubject } = await requireCsr(csr);
      const [uri, ...others] = uriNames;
      if (uri === undefined || others.length > 0) {
        throw new SpiffeError(
          'ARGUMENT_INVALID',
          `the CSR has ${uriNames.length} URI names, it needs exactly one: the SPIFFE ID`,
        );
      }
      const spiffeId = requireWorkloadId(parseSpiffeId(uri), trustDomain);
      requireMintableDnsNames(dnsNames);
      options.access(context).requireMint(spiffeId, dnsNames);
      const subject = mintSubject(wantedSubject, dnsNames);
      const svid = await issuer.issueX509({
        spiffeId,
        publicKey,
        dnsNames,
        ttlSeconds: ttlOr(ttl, x509SvidTtlSeconds),
        ...(subject === undefined ? {} : { subject }),
      });
      return { svid: toApiX509Svid(svid, spiffeId) };
    },
    async mintJWTSVID({ id, audience, ttl }, context) {
      requireJwtSvids();
      const spiffeId = fromApiWorkloadId(id, trustDomain);
      options.access(context).requireMint(spiffeId, []);
      requireAudience(audience);
      const svid = await issuer.issueJwt({
        spiffeId,
        audience,
        ttlSeconds: ttlOr(ttl, jwtSvidTtlSeconds),
        includeJti: false,
      });
      return { svid: toApiJwtSvid(svid, spiffeId) };
    },
    mintWITSVID: refuseWitSvids,
    batchNewWITSVID: refuseWitSvids,
    async batchNewX509SVID({ params }, context) {
      if (params.length === 0) throw new SpiffeError('ARGUMENT_INVALID', 'missing parameters');
      if (params.length > MAX_BATCH) {
        throw new SpiffeError(
          'RATE_LIMITED',
          `${params.length} X.509-SVIDs are too many at once, ${MAX_BATCH} at most`,
        );
      }
      await options.spend(context, params.length);
      const find = authorizedEntry(context);
      return { results: await Promise.all(params.map((one) => newX509Svid(one, find, options))) };
    },
    async newJWTSVID({ entryId, audience }, context) {
      requireJwtSvids();
      const {
        spiffeId,
        jwtSvidTtlSeconds: ttl,
        jwtSvidIncludeJti,
        hint,
      } = requireEntry(authorizedEntry(context), entryId);
      requireAudience(audience);
      const request = { spiffeId, audience, ttlSeconds: ttlOr(ttl, jwtSvidTtlSeconds), includeJti: jwtSvidIncludeJti };
      return { svid: toApiJwtSvid(await issuer.issueJwt(request), spiffeId, hint) };
    },
    newDownstreamX509CA: (request, context) => newDownstreamX509Ca(request, context, options.downstream),
  });
}

async function newX509Svid(
  { entryId, csr }: NewX509SVIDParams,
  find: FindEntry,
  { issuer, x509SvidTtlSeconds }: SvidServiceOptions,
): Promise<BatchResult> {
  try {
    if (entryId === '') throw new SpiffeError('ARGUMENT_INVALID', 'missing entry ID');
    if (csr.length === 0) throw new SpiffeError('ARGUMENT_INVALID', 'missing CSR');
    const { spiffeId, dnsNames, x509SvidTtlSeconds: ttl, hint } = requireEntry(find, entryId);
    const { subjectPublicKeyInfo: publicKey } = await requireCsr(csr);
    const svid = await issuer.issueX509({ spiffeId, publicKey, dnsNames, ttlSeconds: ttlOr(ttl, x509SvidTtlSeconds) });
    return { status: ITEM_OK, svid: toApiX509Svid(svid, spiffeId, hint) };
  } catch (error) {
    return { status: itemStatus(error), svid: undefined };
  }
}

function requireEntry(find: FindEntry, id: string): RegistrationEntry {
  const entry = find(id);
  if (entry === undefined) throw new SpiffeError('ENTRY_NOT_FOUND', 'entry not found or not authorized');
  return entry;
}

function requireAudience(audience: readonly string[]): void {
  if (audience.length === 0 || audience.includes('')) {
    throw new SpiffeError('ARGUMENT_INVALID', 'at least one audience is required, and none may be empty');
  }
}

function ttlOr(ttlSeconds: number, defaultSeconds: number): number {
  if (ttlSeconds < 0) throw new SpiffeError('ARGUMENT_INVALID', `the TTL ${ttlSeconds} is negative`);
  return ttlSeconds === 0 ? defaultSeconds : ttlSeconds;
}

async function refuseWitSvids(): Promise<never> {
  throw new SpiffeError(
    'UNIMPLEMENTED',
    'WIT-SVIDs are not issued by this server: ask for a JWT-SVID or an X.509-SVID',
  );
}
