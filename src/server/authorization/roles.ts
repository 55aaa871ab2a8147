import type { RoleConfig } from '../../config/authorization-config.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';

/** Who is let in besides administrators, agents and downstream servers. */
export class Roles {
  readonly #byCaller: ReadonlyMap<SpiffeId, readonly RoleConfig[]>;

  constructor(roles: readonly RoleConfig[]) {
    const byCaller = new Map<SpiffeId, RoleConfig[]>();
    for (const role of roles) {
      for (const caller of new Set(role.callers)) byCaller.set(caller, [...(byCaller.get(caller) ?? []), role]);
    }
    this.#byCaller = byCaller;
  }

  get callers(): readonly SpiffeId[] {
    return [...this.#byCaller.keys()];
  }

  of(caller: SpiffeId): readonly RoleConfig[] {
    return this.#byCaller.get(caller) ?? [];
  }

  /** @param method `/package.Service/Method` */
  allowing(caller: SpiffeId, method: string): readonly RoleConfig[] {
    return this.of(caller).filter(({ methods }) => methods.includes(method));
  }
}
