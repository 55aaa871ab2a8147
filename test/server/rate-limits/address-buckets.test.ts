import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { AddressBuckets } from '../../../src/server/rate-limits/address-buckets.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

const PATIENT = { maxWaitMs: 60_000, signal: new AbortController().signal };
const addresses = (count: number) => Array.from({ length: count }, (_, index) => `10.0.${index >> 8}.${index & 255}`);

test('one address is one bucket, and so is an IPv6 network of 64 bits', () => {
  const buckets = new AddressBuckets(1);
  expect(buckets.of('192.0.2.7')).toBe(buckets.of('192.0.2.7'));
  expect(buckets.of('192.0.2.7')).not.toBe(buckets.of('192.0.2.8'));
  expect(buckets.of('2001:db8::1')).toBe(buckets.of('2001:db8::ffff:1'));
  expect(buckets.of('2001:db8::1')).not.toBe(buckets.of('2001:db8:0:1::1'));
});

test('those that are full again are forgotten as others come', () => {
  const buckets = new AddressBuckets(1);
  for (const address of addresses(1_000)) void buckets.of(address).take(1, PATIENT);
  expect(buckets.size).toBe(1_000);
  vi.advanceTimersByTime(1_000);
  for (const address of addresses(1_000)) buckets.of(`2001:db8:${address.slice(-2).replace('.', '')}::1`);
  for (let index = 0; index < 1_000; index += 1) buckets.of(`2001:db8:1:${index.toString(16)}::1`);
  expect(buckets.size).toBeLessThan(10);
});

test('there are never more than the limit, and one that is in use stays', () => {
  const buckets = new AddressBuckets(1, { maxAddresses: 100 });
  const mine = buckets.of('192.0.2.7');
  void mine.take(1, PATIENT);
  for (const address of addresses(5_000)) {
    void buckets.of(address).take(1, PATIENT);
    expect(buckets.of('192.0.2.7')).toBe(mine);
    expect(buckets.size).toBeLessThanOrEqual(101);
  }
});

test('one with a line is not forgotten, nor does it keep others from being', () => {
  const buckets = new AddressBuckets(1, { maxAddresses: 10 });
  const waited = ['192.0.2.7', '192.0.2.8'].map((address) => {
    const bucket = buckets.of(address);
    void bucket.take(1, PATIENT);
    void bucket.take(1, PATIENT);
    return bucket;
  });
  for (const address of addresses(1_000)) void buckets.of(address).take(1, PATIENT);
  expect(buckets.size).toBeLessThanOrEqual(14);
  expect(['192.0.2.7', '192.0.2.8'].map((address) => buckets.of(address))).toEqual(waited);
});
