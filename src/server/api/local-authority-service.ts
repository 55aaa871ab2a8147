import {
  type AuthorityState,
  LocalAuthorityDefinition,
} from '../../gen/spire/api/server/localauthority/v1/localauthority.ts';
import { type BoundService, bindService } from '../../rpc/service.ts';
import { SpiffeError } from '../../spiffe/error.ts';
import type { AuthorityStates } from '../ca/authority-line.ts';
import type { AuthorityRecord, X509Record } from '../ca/authority-records.ts';
import type { CaManager } from '../ca/ca-manager.ts';

/** Inventory R030 to R046. Codes and messages are SPIRE's. */
export function localAuthorityService(authorities: CaManager): BoundService {
  const x509 = authorities.x509Authorities;
  const jwt = () => {
    if (authorities.disablesJwt) throw new SpiffeError('UNIMPLEMENTED', 'JWT functionality is disabled');
    return authorities.jwtAuthorities;
  };
  return bindService(LocalAuthorityDefinition, {
    async getJWTAuthorityState() {
      return toStates(jwt().states);
    },
    async prepareJWTAuthority() {
      return { preparedAuthority: toState(await jwt().prepare()) };
    },
    async activateJWTAuthority({ authorityId }) {
      return { activatedAuthority: toState(await jwt().activate(authorityId)) };
    },
    async taintJWTAuthority({ authorityId }) {
      return { taintedAuthority: toState(await jwt().taint(authorityId)) };
    },
    async revokeJWTAuthority({ authorityId }) {
      const record = await jwt().revoke(authorityId);
      return { revokedAuthority: record === undefined ? stateOf(authorityId) : toState(record) };
    },
    async getX509AuthorityState() {
      return toStates(x509.states);
    },
    async prepareX509Authority() {
      return { preparedAuthority: toState(await x509.prepare()) };
    },
    async activateX509Authority({ authorityId }) {
      return { activatedAuthority: toState(await x509.activate(authorityId)) };
    },
    async taintX509Authority({ authorityId }) {
      requireNoUpstream(authorities, 'tainted');
      return { taintedAuthority: toState(await x509.taint(authorityId)) };
    },
    async taintX509UpstreamAuthority({ subjectKeyId }) {
      const upstreamAuthoritySubjectKeyId = requireUpstream(authorities, subjectKeyId);
      await authorities.taintUpstream(upstreamAuthoritySubjectKeyId);
      return { upstreamAuthoritySubjectKeyId };
    },
    async revokeX509Authority({ authorityId }) {
      requireNoUpstream(authorities, 'revoked');
      const record = await x509.revoke(authorityId);
      return { revokedAuthority: record === undefined ? stateOf(authorityId) : toState(record) };
    },
    async revokeX509UpstreamAuthority({ subjectKeyId }) {
      const upstreamAuthoritySubjectKeyId = requireUpstream(authorities, subjectKeyId);
      await authorities.revokeUpstream(upstreamAuthoritySubjectKeyId);
      return { upstreamAuthoritySubjectKeyId };
    },
    getWITAuthorityState: hasNoWit,
    prepareWITAuthority: hasNoWit,
    activateWITAuthority: hasNoWit,
    taintWITAuthority: hasNoWit,
    revokeWITAuthority: hasNoWit,
  });
}

async function hasNoWit(): Promise<never> {
  throw new SpiffeError(
    'UNIMPLEMENTED',
    'WIT-SVID functionality is not implemented: this server has X.509 and JWT authorities',
  );
}

function requireNoUpstream({ hasUpstream }: CaManager, done: 'tainted' | 'revoked'): void {
  if (!hasUpstream) return;
  throw new SpiffeError('FAILED_PRECONDITION', `local authority can't be ${done} if there is an upstream authority`);
}

/** @returns the subject key ID in lower case */
function requireUpstream({ hasUpstream }: CaManager, subjectKeyId: string): string {
  if (!hasUpstream) throw new SpiffeError('FAILED_PRECONDITION', 'upstream authority is not configured');
  return subjectKeyId.toLowerCase();
}

function toStates({ active, prepared, old }: AuthorityStates<AuthorityRecord | X509Record>) {
  return { active: toState(active), prepared: prepared && toState(prepared), old: old && toState(old) };
}

function toState(record: AuthorityRecord | X509Record): AuthorityState {
  return stateOf(
    record.authorityId,
    record.notAfter,
    'upstreamAuthorityId' in record ? record.upstreamAuthorityId : '',
  );
}

function stateOf(authorityId: string, notAfter = 0, upstreamAuthoritySubjectKeyId = ''): AuthorityState {
  return { authorityId, expiresAt: BigInt(notAfter), upstreamAuthoritySubjectKeyId };
}
