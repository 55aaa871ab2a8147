import { expect, test } from 'vitest';
import { TrustedProxies } from '../../src/rpc/trusted-proxies.ts';

const proxies = new TrustedProxies(['10.0.0.0/8', '192.0.2.7/32', 'fd00::/8', '2001:db8::1/128']);

test.each([
  ['10.0.0.0', true],
  ['10.255.255.255', true],
  ['11.0.0.0', false],
  ['192.0.2.7', true],
  ['192.0.2.8', false],
  ['fd12:3456::1', true],
  ['fe80::1', false],
  ['2001:db8::1', true],
  ['2001:db8::2', false],
  ['', false],
])('%s is trusted: %s', (address, isTrusted) => {
  expect(proxies.has(address)).toBe(isTrusted);
});

test('nobody is trusted by default, and everybody by the empty prefix', () => {
  expect(new TrustedProxies([]).has('127.0.0.1')).toBe(false);
  const all = new TrustedProxies(['0.0.0.0/0']);
  expect([all.has('192.0.2.1'), all.has('2001:db8::1')]).toEqual([true, false]);
});
