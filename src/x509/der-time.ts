import { type DerReader, derInvalid, Tag, tlv } from './der.ts';

const GENERALIZED_FROM = Date.UTC(2050, 0, 1);
const LAST = Date.UTC(9999, 11, 31, 23, 59, 59);
const FIRST = Date.UTC(1950, 0, 1);

/**
 * UTCTime or GeneralizedTime, in seconds and `Z`, the one form that RFC 5280 allows. Either form is read for any year:
 * §4.1.2.5 binds the issuer. 9999-12-31T23:59:59Z means that there is no known end.
 *
 * @throws SpiffeError `DER_INVALID`
 * @see RFC 5280 §4.1.2.5.1, §4.1.2.5.2
 */
export function readTime(reader: DerReader, what: string): Date {
  const { tag, content } = reader.readElement(what);
  if (tag !== Tag.utcTime && tag !== Tag.generalizedTime) derInvalid(`${what} is no UTCTime or GeneralizedTime`);
  const yearDigits = tag === Tag.utcTime ? 2 : 4;
  if (content.length !== yearDigits + 11 || content.at(-1) !== 0x5a) {
    derInvalid(`${what} is not in the form ${tag === Tag.utcTime ? 'YY' : 'YYYY'}MMDDHHMMSSZ`);
  }
  const digits = content.subarray(0, -1);
  if (!digits.every((octet) => octet >= 0x30 && octet <= 0x39)) derInvalid(`${what} holds something other than digits`);
  const number = (from: number, count: number) =>
    digits.subarray(from, from + count).reduce((value, octet) => value * 10 + octet - 0x30, 0);
  const shortYear = number(0, yearDigits);
  const year = tag === Tag.generalizedTime ? shortYear : shortYear < 50 ? 2000 + shortYear : 1900 + shortYear;
  const month = number(yearDigits, 2);
  const day = number(yearDigits + 2, 2);
  const hour = number(yearDigits + 4, 2);
  const minute = number(yearDigits + 6, 2);
  const second = number(yearDigits + 8, 2);
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  const isReal = date.getUTCMonth() === month - 1 && date.getUTCDate() === day && month >= 1 && day >= 1;
  if (!isReal || hour > 23 || minute > 59 || second > 59) derInvalid(`${what} is no date`);
  return date;
}

/**
 * UTCTime through 2049, GeneralizedTime from 2050; fractions of a second are cut.
 *
 * @throws SpiffeError `DER_INVALID` outside 1950 to 9999
 * @see RFC 5280 §4.1.2.5
 */
export function encodeTime(date: Date): Uint8Array {
  const time = date.getTime();
  if (!(time >= FIRST && time < LAST + 1000)) derInvalid(`${String(time)} ms is no time between 1950 and 9999`);
  const text = `${date.toISOString().slice(0, 19).replaceAll(/[-:T]/g, '')}Z`;
  return time < GENERALIZED_FROM
    ? tlv(Tag.utcTime, Buffer.from(text.slice(2), 'latin1'))
    : tlv(Tag.generalizedTime, Buffer.from(text, 'latin1'));
}
