import { describe, expect, test } from 'vitest';
import {
  GetAuthorizedEntriesResponse,
  ListEntriesResponse,
  SyncAuthorizedEntriesResponse,
} from '../../src/gen/spire/api/server/entry/v1/entry.ts';
import { EntryMask } from '../../src/gen/spire/api/types/types.ts';
import { toApiEntry } from '../../src/server/api/api-entry.ts';
import {
  encodeAuthorizedEntries,
  encodeListedEntries,
  encodeRevisions,
  encodeSyncedEntries,
} from '../../src/server/api/encoded-entries.ts';
import { type CachedEntry, EntryTexts } from '../../src/server/cached-entry.ts';
import type { RegistrationEntry } from '../../src/spiffe/entry.ts';
import { parseSelector } from '../../src/spiffe/selector.ts';
import { parseSpiffeId } from '../../src/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';

const PLAIN: RegistrationEntry = {
  id: 'plain',
  parentId: parseSpiffeId('spiffe://example.org/node'),
  spiffeId: parseSpiffeId('spiffe://example.org/plain'),
  selectors: [parseSelector('unix:uid:0')],
  x509SvidTtlSeconds: 0,
  jwtSvidTtlSeconds: 0,
  federatesWith: [],
  admin: false,
  downstream: false,
  storeSvid: false,
  dnsNames: [],
  expiresAt: 0,
  hint: '',
  revisionNumber: 0,
  createdAt: 1_800_000_000,
  jwtSvidIncludeJti: false,
  disableX509SvidPrefetch: false,
};
const FULL: RegistrationEntry = {
  ...PLAIN,
  id: 'full',
  selectors: ['unix:uid:0', `unix:path:/${'long/'.repeat(100)}`, 'k8s:ns:größe'].map(parseSelector),
  x509SvidTtlSeconds: 2 ** 31 - 1,
  jwtSvidTtlSeconds: 300,
  federatesWith: ['a.example', 'b.example'].map(parseTrustDomain),
  admin: true,
  downstream: true,
  storeSvid: true,
  dnsNames: ['one.example', 'two.example'],
  expiresAt: 4_000_000_000,
  hint: 'ein Gruß, 𝔘nicode',
  revisionNumber: 2 ** 40,
  jwtSvidIncludeJti: true,
  disableX509SvidPrefetch: true,
};
const texts = new EntryTexts();
const cached = (entry: RegistrationEntry): CachedEntry => texts.toCached(entry, entry.parentId);
const entries = [cached(PLAIN), cached(FULL)];
const FIELDS = Object.keys(EntryMask.create()) as (keyof EntryMask)[];

/** Each field alone, each field left out, none, all, and some that were drawn once. */
const masks: readonly (EntryMask | undefined)[] = [
  undefined,
  EntryMask.create(),
  ...[...FIELDS.keys()].flatMap((n) => [1 << n, 0x7fff ^ (1 << n)]).map(maskOf),
  ...[0x7fff, 0x1234, 0x4321, 0x5555, 0x2aaa, 0x600d].map(maskOf),
];

function maskOf(bits: number): EntryMask {
  return EntryMask.create(Object.fromEntries(FIELDS.map((field, n) => [field, (bits & (1 << n)) !== 0])));
}

describe('encoded answers say what the values say', () => {
  test.each(masks.map((mask) => [JSON.stringify(mask), mask] as const))('with the mask %s', (_name, mask) => {
    const expected = entries.map((entry) => toApiEntry(entry, mask));
    expect(GetAuthorizedEntriesResponse.decode(encodeAuthorizedEntries(entries, mask).bytes)).toEqual({
      entries: expected,
    });
    expect(ListEntriesResponse.decode(encodeListedEntries(entries, mask, 'bmV4dA').bytes)).toEqual({
      entries: expected,
      nextPageToken: 'bmV4dA',
    });
    expect(SyncAuthorizedEntriesResponse.decode(encodeSyncedEntries(entries, mask, true).bytes)).toEqual({
      entryRevisions: [],
      entries: expected,
      more: true,
    });
  });

  test('revisions, of which only the first is left out as protobuf leaves out 0', () => {
    const expected = entries.map(({ id, revisionNumber, createdAt }) => ({
      id,
      revisionNumber: BigInt(revisionNumber),
      createdAt: BigInt(createdAt),
    }));
    for (const more of [true, false]) {
      expect(SyncAuthorizedEntriesResponse.decode(encodeRevisions(entries, more).bytes)).toEqual({
        entryRevisions: expected,
        entries: [],
        more,
      });
    }
  });

  test('nothing', () => {
    expect(encodeAuthorizedEntries([], undefined).bytes).toHaveLength(0);
    expect(encodeListedEntries([], undefined, '').bytes).toHaveLength(0);
  });

  test('an entry that takes the place of another is encoded anew', () => {
    const before = cached(PLAIN);
    encodeAuthorizedEntries([before], undefined);
    const after = cached({ ...before, hint: 'changed', revisionNumber: 1 });
    const { entries: shown } = GetAuthorizedEntriesResponse.decode(encodeAuthorizedEntries([after], undefined).bytes);
    expect(shown).toMatchObject([{ hint: 'changed', revisionNumber: 1n }]);
  });
});
