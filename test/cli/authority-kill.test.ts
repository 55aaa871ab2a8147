import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BundleDefinition } from '../../src/gen/spire/api/server/bundle/v1/bundle.ts';
import { LocalAuthorityDefinition } from '../../src/gen/spire/api/server/localauthority/v1/localauthority.ts';
import { SVIDDefinition } from '../../src/gen/spire/api/server/svid/v1/svid.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { createClient } from '../../src/rpc/client.ts';
import type { Bundle } from '../../src/spiffe/bundle.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { isTrustedX509Svid } from '../../src/spiffe/trusted-svid.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { newCsr } from '../server/callers.ts';
import { ServerProcess } from './server-process.ts';

const ROUNDS = 4;

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await createTemporaryFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

/** X.509 authorities as the server shows them; `prepared` and `old` are empty where there are none. */
interface State {
  readonly active: string;
  readonly prepared: string;
  readonly old: string;
  readonly isOldTainted: boolean;
}

/** Steps that an administrator takes, what the server confirmed of them, and what the one under way would make of it. */
class Steps {
  confirmed: State;
  /** Undefined: a new authority, whose id the answer would have told. */
  underWay: Partial<State> | undefined;
  count = 0;
  readonly #api;

  constructor(channel: RpcChannel, state: State) {
    this.#api = createClient(LocalAuthorityDefinition, channel);
    this.confirmed = state;
  }

  async takeOne(): Promise<void> {
    const { active, prepared, old, isOldTainted } = this.confirmed;
    if (old !== '' && isOldTainted) {
      await this.#take({ old: '', isOldTainted: false }, () => this.#api.revokeX509Authority({ authorityId: old }));
    } else if (old !== '') {
      await this.#take({ isOldTainted: true }, () => this.#api.taintX509Authority({ authorityId: old }));
    } else if (prepared !== '') {
      const next = { active: prepared, prepared: '', old: active };
      await this.#take(next, () => this.#api.activateX509Authority({ authorityId: prepared }));
    } else {
      this.underWay = undefined;
      const { preparedAuthority } = await this.#api.prepareX509Authority({});
      this.confirmed = { ...this.confirmed, prepared: preparedAuthority?.authorityId ?? '' };
    }
    this.count += 1;
  }

  async #take(change: Partial<State>, step: () => Promise<unknown>): Promise<void> {
    this.underWay = change;
    await step();
    this.confirmed = { ...this.confirmed, ...change };
  }
}

async function bundleOf(channel: RpcChannel): Promise<Bundle> {
  const { x509Authorities } = await createClient(BundleDefinition, channel).getBundle({ outputMask: undefined });
  const trustDomain = parseTrustDomain('example.org');
  const authorities = x509Authorities.map(({ asn1, tainted }) => ({ certificate: asn1, tainted }));
  return { trustDomain, x509Authorities: authorities, jwtAuthorities: [], refreshHintSeconds: 0, sequenceNumber: 0n };
}

async function stateOf(channel: RpcChannel): Promise<State> {
  const states = await createClient(LocalAuthorityDefinition, channel).getX509AuthorityState({});
  const [active = '', prepared = '', old = ''] = [states.active, states.prepared, states.old].map(
    (state) => state?.authorityId,
  );
  const { x509Authorities } = await bundleOf(channel);
  const tainted = x509Authorities
    .filter((authority) => authority.tainted)
    .map(({ certificate }) => Buffer.from(parseCertificate(certificate).subjectKeyId ?? []).toString('hex'));
  return { active, prepared, old, isOldTainted: tainted.includes(old) };
}

async function requireGoodSvid(channel: RpcChannel): Promise<void> {
  const { csr } = await newCsr({ uriNames: ['spiffe://example.org/web'] });
  const { svid } = await createClient(SVIDDefinition, channel).mintX509SVID({ csr, ttl: 0 });
  expect(isTrustedX509Svid(svid?.certChain ?? [], await bundleOf(channel), new Date())).toBe(true);
}

test(`a server that is killed ${ROUNDS} times amid steps of its authorities is before or after the one under way`, async () => {
  const plugins = `KeyManager "disk" { plugin_data { keys_path = "${folder.path}/keys.json" } }\n  NodeAttestor "join_token" {}`;
  let before: Steps | undefined;
  let count = 0;
  for (let round = 0; round <= ROUNDS; round += 1) {
    await using server = await ServerProcess.start({ folder: folder.path, plugins });
    using channel = RpcChannel.unix(server.socketPath);
    const state = await stateOf(channel);
    if (before !== undefined) expect(possible(before, state), JSON.stringify({ before, state })).toContainEqual(state);
    await requireGoodSvid(channel);
    if (round === ROUNDS) break;

    const steps = new Steps(channel, state);
    const killed = wait(Math.random() * 400).then(() => server.program.signal('SIGKILL'));
    const taken = (async () => {
      for (;;) await steps.takeOne();
    })();
    await expect(taken).rejects.toThrow();
    await killed;
    await server.program.ended();
    before = steps;
    count += steps.count;
  }
  expect(count).toBeGreaterThan(ROUNDS);
}, 180_000);

/** What may be found after a crash: of a preparation under way, its result is not known. */
function possible({ confirmed, underWay }: Steps, { prepared }: State): readonly State[] {
  return [confirmed, underWay === undefined ? { ...confirmed, prepared } : { ...confirmed, ...underWay }];
}
