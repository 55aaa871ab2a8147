import { generateKeyPairSync } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Bundle } from '../../../src/spiffe/bundle.ts';
import { validateJwtSvid } from '../../../src/spiffe/jwt-svid.ts';
import { parseSpiffeId } from '../../../src/spiffe/spiffe-id.ts';
import { isTrustedX509Svid, isValidX509Svid } from '../../../src/spiffe/trusted-svid.ts';
import { parseCertificate } from '../../../src/x509/certificate.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../harness/temporary-folder.ts';
import { Authorities, LastingKeys } from './authorities.ts';
import { Crash, Faults } from './faults.ts';

const DAY = 24 * 3600;
const SPIFFE_ID = parseSpiffeId('spiffe://example.org/web');
let folder: TemporaryFolder;
let now: Date;
let keys: LastingKeys;
let faults: Faults;

beforeEach(start);
afterEach(() => folder[Symbol.asyncDispose]());

async function start(): Promise<void> {
  folder = await createTemporaryFolder();
  now = new Date('2026-01-01T00:00:00Z');
  keys = new LastingKeys();
  faults = new Faults();
}

const open = () => Authorities.open({ folder: folder.path, clock: () => now, keys, faults });
const pass = (seconds: number) => {
  now = new Date(now.getTime() + seconds * 1000);
};
const linesOf = ({ manager }: Authorities) => [manager.x509Authorities, manager.jwtAuthorities] as const;

/** By authority: what the server and the bundle make of it. */
type States = Readonly<Record<string, string>>;

function statesOf(ca: Authorities): States {
  const tainted = taints(ca.bundle.current);
  const states: Record<string, string> = {};
  for (const id of tainted.keys()) states[id] = 'published';
  for (const line of linesOf(ca)) {
    const { active, prepared } = line.states;
    states[active.authorityId] = 'active';
    if (prepared !== undefined) states[prepared.authorityId] = 'prepared';
    for (const { authorityId } of line.oldRecords) states[authorityId] = 'old';
  }
  for (const [id, isTainted] of tainted) if (isTainted) states[id] += ' tainted';
  return states;
}

function taints({ x509Authorities, jwtAuthorities }: Bundle): ReadonlyMap<string, boolean> {
  const idOf = (der: Uint8Array) => Buffer.from(parseCertificate(der).subjectKeyId ?? []).toString('hex');
  return new Map([
    ...x509Authorities.map(({ certificate, tainted }) => [idOf(certificate), tainted] as const),
    ...jwtAuthorities.map(({ keyId, tainted }) => [keyId, tainted] as const),
  ]);
}

async function issue({ issuer }: Authorities) {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const der = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }));
  const { chain } = await issuer.issueX509({ spiffeId: SPIFFE_ID, publicKey: der, dnsNames: [], ttlSeconds: 3600 });
  const { token } = await issuer.issueJwt({
    spiffeId: SPIFFE_ID,
    audience: ['a'],
    ttlSeconds: 3600,
    includeJti: false,
  });
  return { chain, token };
}

/** What it signs verifies by what is stored, and hangs on nothing that is tainted. */
async function requireGoodSignatures(ca: Authorities): Promise<void> {
  const stored = await ca.datastore.bundles.get(ca.bundle.current.trustDomain);
  const { chain, token } = await issue(ca);
  expect(isTrustedX509Svid(chain, stored, now)).toBe(true);
  validateJwtSvid(token, 'a', () => stored, now);
  expect(stored).toEqual(ca.bundle.current);
}

interface Step {
  /** What comes before it. */
  readonly setUp: (ca: Authorities) => Promise<unknown>;
  readonly take: (ca: Authorities) => Promise<unknown>;
  /** What authorities of a state before it may be after it, done or not; `new` ones may be there besides. */
  readonly allowed: Readonly<Record<string, readonly string[]>>;
  /** Whether what was signed before it is valid after it, done or not. */
  readonly keepsOldSvids?: boolean;
}

const prepare = (ca: Authorities) => Promise.all(linesOf(ca).map((line) => line.prepare()));
const activate = async (ca: Authorities) => {
  for (const line of linesOf(ca)) {
    const { prepared } = line.states;
    if (prepared !== undefined) await line.activate(prepared.authorityId);
  }
};
const onOld = (what: 'taint' | 'revoke') => async (ca: Authorities) => {
  for (const line of linesOf(ca)) {
    const { old } = line.states;
    const isTainted = taints(ca.bundle.current).get(old?.authorityId ?? '');
    if (old !== undefined && isTainted === (what === 'revoke')) await line[what](old.authorityId);
  }
};
const rotate = (ca: Authorities) => ca.manager.rotate();
const nothing = async () => {};

const STEPS: Readonly<Record<string, Step>> = {
  'prepare, by hand': {
    setUp: nothing,
    take: prepare,
    allowed: { active: ['active'], new: ['prepared', 'published'] },
  },
  'prepare, in place of one that is prepared': {
    setUp: prepare,
    take: prepare,
    allowed: { active: ['active'], prepared: ['prepared', 'published'], new: ['prepared', 'published'] },
  },
  'prepare, as it is time': {
    setUp: async () => pass(DAY / 2),
    take: rotate,
    allowed: { active: ['active'], new: ['prepared', 'published'] },
  },
  'prepare, beside an old one': {
    setUp: async (ca) => {
      await prepare(ca);
      await activate(ca);
    },
    take: prepare,
    allowed: { active: ['active'], old: ['old'], new: ['prepared', 'published'] },
  },
  'activate, by hand': {
    setUp: prepare,
    take: activate,
    allowed: { active: ['active', 'old'], prepared: ['prepared', 'active'] },
  },
  'activate, as it is time': {
    setUp: async (ca) => {
      pass(DAY / 2);
      await rotate(ca);
      pass(DAY / 3);
    },
    take: rotate,
    allowed: { active: ['active', 'old'], prepared: ['prepared', 'active'] },
  },
  'prepare and activate, as it is time': {
    setUp: async () => pass((DAY * 5) / 6),
    take: rotate,
    allowed: { active: ['active', 'old'], new: ['prepared', 'published', 'active'] },
  },
  taint: {
    setUp: async (ca) => {
      await prepare(ca);
      await activate(ca);
    },
    take: onOld('taint'),
    allowed: { active: ['active'], old: ['old', 'old tainted'] },
  },
  revoke: {
    setUp: async (ca) => {
      await prepare(ca);
      await activate(ca);
      await onOld('taint')(ca);
    },
    take: onOld('revoke'),
    allowed: { active: ['active'], 'old tainted': ['old tainted', 'gone'] },
    keepsOldSvids: false,
  },
  'forget what has ended': {
    setUp: async (ca) => {
      await prepare(ca);
      await activate(ca);
      for (let hours = 0; hours < 44; hours += 4) {
        pass(4 * 3600);
        await rotate(ca);
      }
      pass(4 * 3600 + 60); // the first two ended a day ago
    },
    take: rotate,
    allowed: {
      active: ['active'],
      old: ['old', 'gone'],
      published: ['published', 'gone'],
      new: ['prepared', 'published'],
    },
  },
};

describe.each(Object.entries(STEPS))('the power goes in: %s', (_name, step) => {
  const { setUp, take, allowed, keepsOldSvids = true } = step;

  test('and at every write of it, before or after that is done, a restart finds a state that holds', async () => {
    const writes = await countWrites(setUp, take);
    expect(writes).toBeGreaterThan(0);
    for (let write = 1; write <= writes; write += 1) {
      for (const isDone of [false, true]) {
        await folder[Symbol.asyncDispose]();
        await start();
        const before = await crash(write, isDone);
        await using ca = await open();
        const after = statesOf(ca);
        const context = JSON.stringify({ write, isDone, before: before.states, after });
        for (const [id, state] of Object.entries(before.states)) {
          expect(allowed[state], `${state}: ${context}`).toContain(after[id] ?? 'gone');
        }
        for (const [id, state] of Object.entries(after)) {
          if (before.states[id] === undefined) expect(allowed.new ?? [], context).toContain(state);
        }
        await requireGoodSignatures(ca);
        if (keepsOldSvids) {
          expect(isValidX509Svid(before.chain, ca.bundle.current, now), context).toBe(true);
          validateJwtSvid(before.token, 'a', () => ca.bundle.current, now);
        }
        await take(ca); // what was broken off can be done
        await requireGoodSignatures(ca);
      }
    }
  });

  async function countWrites(before: Step['setUp'], work: Step['take']): Promise<number> {
    await using ca = await open();
    await before(ca);
    faults.crashAt(undefined);
    await work(ca);
    return faults.writes;
  }

  /** @returns what there was when it began */
  async function crash(write: number, isDone: boolean) {
    await using ca = await open();
    await setUp(ca);
    const before = { states: statesOf(ca), ...(await issue(ca)) };
    faults.crashAt(write, isDone);
    const error = await take(ca).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(faults.writes, 'it did not crash').toBeGreaterThanOrEqual(write);
    expect(error instanceof Crash || (error instanceof Error && error.cause instanceof Crash), String(error)).toBe(
      true,
    );
    await ca[Symbol.asyncDispose]();
    faults.crashAt(undefined);
    return before;
  }
});

test('the power goes at every write of the very first start', async () => {
  const writes = await (async () => {
    await using _ca = await open();
    return faults.writes;
  })();
  expect(writes).toBeGreaterThan(6);
  for (let write = 1; write <= writes; write += 1) {
    for (const isDone of [false, true]) {
      await folder[Symbol.asyncDispose]();
      await start();
      faults.crashAt(write, isDone);
      await expect(open()).rejects.toBeInstanceOf(Crash);
      faults.crashAt(undefined);
      const ids = await (async () => {
        await using ca = await open();
        await requireGoodSignatures(ca);
        return ca.ids;
      })();
      await using again = await open();
      expect(again.ids).toEqual(ids);
    }
  }
});

test('a write whose answer is lost is found to be done', async () => {
  await using ca = await open();
  const line = ca.manager.x509Authorities;
  const before = line.states.active.authorityId;
  await line.prepare();
  faults.crashAt(1, true); // the journal is at another version than the server thinks
  await expect(line.activate(line.states.prepared?.authorityId ?? '')).rejects.toBeInstanceOf(Crash);
  faults.crashAt(undefined);
  expect(line.states.active.authorityId).toBe(before);
  await requireGoodSignatures(ca);
  const { name } = ca.journal;
  await line.activate(line.states.prepared?.authorityId ?? '');
  expect(line.states.active.authorityId).not.toBe(before);
  expect([ca.journal.name, (await ca.datastore.caJournal.list()).length]).toEqual([name, 1]);
  await requireGoodSignatures(ca);
});
