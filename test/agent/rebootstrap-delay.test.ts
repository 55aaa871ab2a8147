import { writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AgentDataFile } from '../../src/agent/storage/agent-data.ts';
import { Rebootstrap } from '../../src/agent/sync/rebootstrap.ts';
import { TrustBundle } from '../../src/agent/trust-bundle.ts';
import { Logger, type LogRecord } from '../../src/log/logger.ts';
import type { Bundle } from '../../src/spiffe/bundle.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { TestAuthority } from '../../src/testing/test-authority.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';

// When a bundle is taken from its source again, and which of its authorities are (inventory B008, C081, C082).

const EXAMPLE = parseTrustDomain('example.org');
const { signal } = new AbortController();

let folder: TemporaryFolder;
let old: TestAuthority;
let fresh: TestAuthority;
beforeEach(async () => {
  folder = await createTemporaryFolder();
  old = await TestAuthority.create();
  fresh = await TestAuthority.create();
});
afterEach(() => folder[Symbol.asyncDispose]());

const bundleOf = (sequenceNumber: number, ...authorities: readonly TestAuthority[]): Bundle => ({
  trustDomain: EXAMPLE,
  x509Authorities: authorities.map(({ certificate: { der } }) => ({ certificate: der, tainted: false })),
  jwtAuthorities: [],
  refreshHintSeconds: 0,
  sequenceNumber: BigInt(sequenceNumber),
});
/** The authorities of a bundle tainted, and others that are not. */
const tainted = (bundle: Bundle, ...others: readonly TestAuthority[]): Bundle => {
  const marked = bundle.x509Authorities.map((authority) => ({ ...authority, tainted: true }));
  return { ...bundle, x509Authorities: [...marked, ...bundleOf(0, ...others).x509Authorities] };
};
const certificates = ({ x509Authorities }: Bundle) =>
  x509Authorities.map(({ certificate }) => Buffer.from(certificate));

/** An agent whose source has these authorities, in a run that begins with what the run before has stored. */
async function open(...source: readonly TestAuthority[]) {
  await writeFile(folder.join('bundle.pem'), source.map(({ certificatePem }) => certificatePem).join(''));
  const records: LogRecord[] = [];
  const log = new Logger((record) => records.push(record), 'debug');
  const data = await AgentDataFile.open(folder.path, EXAMPLE, log);
  const trust = await TrustBundle.open(
    data,
    { type: 'file', path: folder.join('bundle.pem'), format: 'pem' },
    EXAMPLE,
    signal,
  );
  const time = { seconds: 0 };
  const rebootstrap = new Rebootstrap({
    settings: { mode: 'always', delaySeconds: 600 },
    trust,
    evidence: { type: 'test', isAvailable: true, begin: () => expect.fail('nobody attests here') },
    log,
    clock: () => new Date(),
    elapsed: () => time.seconds * 1_000,
  });
  /** Every so many seconds, for so many. */
  const attempt = async (seconds: number, every = 30, rejoin = async () => {}) => {
    let outcome: unknown = 'not now';
    for (const end = time.seconds + seconds; outcome === 'not now' && time.seconds < end; time.seconds += every) {
      outcome = await rebootstrap.attempt(true, signal, rejoin);
    }
    return outcome;
  };
  return { trust, rebootstrap, attempt, time, records };
}

describe('the delay', () => {
  test('is over once the server was not verified for so long', async () => {
    const { attempt, time } = await open(fresh);
    expect(await attempt(2_000)).toBe('joined');
    expect(time.seconds).toBeGreaterThanOrEqual(600);
    expect(time.seconds).toBeLessThan(660);
  });

  test('begins anew with whatever the verified server answers', async () => {
    const { attempt, rebootstrap } = await open(fresh);
    for (let round = 0; round < 5; round++) {
      expect(await attempt(590)).toBe('not now');
      expect(rebootstrap.isWaiting).toBe(true);
      rebootstrap.verified();
      expect(rebootstrap.isWaiting).toBe(false);
    }
  });

  test('begins anew after a gap of more than a minute', async () => {
    const { attempt, time } = await open(fresh);
    expect(await attempt(2_000, 61)).toBe('not now');
    expect(await attempt(590)).toBe('not now');
    time.seconds += 61;
    expect(await attempt(590)).toBe('not now');
    expect(await attempt(60)).toBe('joined');
  });
});

describe('an authority that the server', () => {
  const expected = /has only authorities that the server has tainted or revoked since/;

  test('revoked is not taken from the source again, in a later run either', async () => {
    const { trust } = await open(old);
    await trust.replace(bundleOf(2, old, fresh));
    await trust.replace(bundleOf(3, fresh));
    const later = await open(old);
    expect(await later.attempt(2_000, 30, () => expect.fail('there is nobody to join'))).toBe('not now');
    expect(later.records.map(({ fields }) => String(fields.reason)).join()).toMatch(expected);
    expect(certificates(later.trust.current)).toEqual([Buffer.from(fresh.certificate.der)]);
  });

  test('tainted is not taken, those beside it are', async () => {
    const third = await TestAuthority.create();
    const { trust, attempt } = await open(old, third);
    await trust.replace(tainted(bundleOf(2, old), fresh));
    let verifiedBy: readonly Buffer[] = [];
    const rejoin = async () => {
      verifiedBy = certificates(trust.current);
    };
    expect(await attempt(2_000, 30, rejoin)).toBe('joined');
    expect(verifiedBy).toEqual([Buffer.from(third.certificate.der)]);
  });

  test('took back, and has again, counts as before', async () => {
    const { trust, attempt } = await open(old);
    for (const authorities of [[old, fresh], [fresh], [fresh, old]]) {
      await trust.replace(bundleOf(Number(trust.current.sequenceNumber) + 1, ...authorities));
    }
    expect(await attempt(2_000)).toBe('joined');
  });

  test('had before the agent went to another is not revoked, nor is what an attempt that failed has seen', async () => {
    const { trust, attempt } = await open(fresh);
    await trust.replace(bundleOf(2, old));
    const failing = async () => {
      await trust.replace(bundleOf(1, fresh));
      throw new Error('not attested');
    };
    expect(await attempt(660, 30, failing)).toBe('not now');
    expect(certificates(trust.current)).toEqual([Buffer.from(old.certificate.der)]);
    const joining = async () => void (await trust.replace(bundleOf(1, fresh)));
    expect(await attempt(2_000, 30, joining)).toBe('joined');
    const back = await open(old);
    expect(certificates(back.trust.current)).toEqual([Buffer.from(fresh.certificate.der)]);
    expect(await back.attempt(2_000, 30, async () => void (await back.trust.replace(bundleOf(9, old))))).toBe('joined');
    expect(certificates(back.trust.current)).toEqual([Buffer.from(old.certificate.der)]);
  });
});
