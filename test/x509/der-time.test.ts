import { expect, test } from 'vitest';
import { DerReader, Tag, tlv } from '../../src/x509/der.ts';
import { encodeTime, readTime } from '../../src/x509/der-time.ts';

const read = (tag: number, text: string) => readTime(new DerReader(tlv(tag, Buffer.from(text))), 'it').toISOString();
const { utcTime, generalizedTime, ia5String } = Tag;

test.each([
  ['49 is 2049', '§4.1.2.5.1', utcTime, '491231235959Z', '2049-12-31T23:59:59.000Z'],
  ['50 is 1950', '§4.1.2.5.1', utcTime, '500101000000Z', '1950-01-01T00:00:00.000Z'],
  ['00 is 2000', '§4.1.2.5.1', utcTime, '000229120000Z', '2000-02-29T12:00:00.000Z'],
  ['no known end', '§4.1.2.5', generalizedTime, '99991231235959Z', '9999-12-31T23:59:59.000Z'],
  ['a year before 2050', '§4.1.2.5', generalizedTime, '20260101000000Z', '2026-01-01T00:00:00.000Z'],
  ['a year below 100', '§4.1.2.5.2', generalizedTime, '00500101000000Z', '0050-01-01T00:00:00.000Z'],
])('reads %s (RFC 5280 %s)', (_rule, _section, tag, text, iso) => {
  expect(read(tag, text)).toBe(iso);
});

test.each([
  ['no seconds', '§4.1.2.5.1', utcTime, '2601010000Z', /form YYMMDD/],
  ['an offset', '§4.1.2.5.1', utcTime, '260101000000+0100', /form YYMMDD/],
  ['a fraction', '§4.1.2.5.2', generalizedTime, '20260101000000.5Z', /form YYYYMMDD/],
  ['local time', '§4.1.2.5.2', generalizedTime, '20260101000000', /form YYYYMMDD/],
  ['a sign', '§4.1.2.5.1', utcTime, '26-101000000Z', /other than digits/],
  ['month 0', 'calendar', utcTime, '260001000000Z', /no date/],
  ['month 13', 'calendar', utcTime, '261301000000Z', /no date/],
  ['day 0', 'calendar', utcTime, '260100000000Z', /no date/],
  ['30 February', 'calendar', utcTime, '260230000000Z', /no date/],
  ['29 February 2100', 'calendar', generalizedTime, '21000229000000Z', /no date/],
  ['hour 24', 'calendar', utcTime, '260101240000Z', /no date/],
  ['minute 60', 'calendar', utcTime, '260101006000Z', /no date/],
  ['a leap second', 'calendar', utcTime, '260101000060Z', /no date/],
  ['a string', '§4.1.2.5', ia5String, '260101000000Z', /no UTCTime/],
])('rejects %s (RFC 5280 %s)', (_rule, _section, tag, text, message) => {
  expect(() => read(tag, text)).toThrow(
    expect.objectContaining({ code: 'DER_INVALID', message: expect.stringMatching(message) }),
  );
});

test.each([
  ['2049-12-31T23:59:59.999Z', utcTime, '491231235959Z'],
  ['2050-01-01T00:00:00.000Z', generalizedTime, '20500101000000Z'],
  ['9999-12-31T23:59:59.000Z', generalizedTime, '99991231235959Z'],
  ['1950-01-01T00:00:00.000Z', utcTime, '500101000000Z'],
])('writes %s (RFC 5280 §4.1.2.5)', (iso, tag, text) => {
  expect(Buffer.from(encodeTime(new Date(iso)))).toEqual(Buffer.from(tlv(tag, Buffer.from(text))));
});

test.each([Number.NaN, Date.UTC(1949, 11, 31), Date.UTC(10000, 0, 1)])('refuses to write %d', (time) => {
  expect(() => encodeTime(new Date(time))).toThrow(expect.objectContaining({ code: 'DER_INVALID' }));
});
