import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { z } from 'zod';
import { isSpiffeError } from '../spiffe/error.ts';
import { parseSpiffeId } from '../spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../spiffe/trust-domain.ts';
import { findDurationMs } from './duration.ts';

/** Empty text counts as not given, as it does for SPIRE. */
export function orUnset<S extends z.ZodType>(schema: S) {
  return z.preprocess((value) => (value === '' ? undefined : value), schema.optional());
}

export const optionalText = orUnset(z.string());
export const flag = z.boolean().default(false);
export const textList = z.array(z.string()).default([]);

/** A duration in Go's notation, not negative → milliseconds. */
export const durationMs = z.string({ error: durationError }).transform((text, ctx) => {
  const ms = findDurationMs(text);
  if (ms === undefined || ms < 0) {
    ctx.addIssue('must be a number and a unit, such as "5m", "1h30m" or "500ms"');
    return z.NEVER;
  }
  return ms;
});

/** A duration in Go's notation, not negative → seconds, maybe a fraction. */
export const duration = durationMs.transform((ms) => ms / 1000);

function durationError({ input }: { input?: unknown }): string {
  return input === undefined ? 'is required' : 'must be a number and a unit in quotes, such as "5m" or "1h"';
}

const port = z.int({ error: portError }).min(1, { error: portError }).max(65535, { error: portError });

function portError({ input }: { input?: unknown }): string {
  return input === undefined ? 'is required' : 'must be a port, 1 to 65535';
}

/** 0 and empty text count as not given. */
export const optionalPort = z.preprocess((value) => (value === 0 || value === '' ? undefined : value), port.optional());
export const requiredPort = z.preprocess((value) => (value === 0 || value === '' ? undefined : value), port);

/** Required, not empty. */
export const requiredText = z.preprocess((value) => (value === '' ? undefined : value), z.string());

/** The path of a Unix socket, made absolute; `sockaddr_un` has room for 107 bytes. */
export const socketPath = z.string().transform((text, ctx) => {
  const path = resolve(text);
  const bytes = Buffer.byteLength(path);
  if (bytes > 107) ctx.addIssue(`the path of a socket has 107 bytes at most, ${path} has ${bytes}`);
  return path;
});

/** `http://` or `https://`, without a name and password, which Node's `fetch` refuses. */
export const webUrl = z.string().refine(isWebUrl, {
  error: 'must be a URL that starts with http:// or https:// and has no user name',
});

function isWebUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return /^https?:$/.test(protocol) && username === '' && password === '';
}

/** As certificates of endorsement keys name who made a TPM: TCG Vendor ID Registry. */
export function tpmManufacturer(example: string) {
  return z.string().regex(/^id:[0-9a-f]{8}$/i, { error: `must be "id:" and 8 hex digits, such as "${example}"` });
}

export const wholeNumber = z.int().min(0, { error: 'must not be negative' });

/** One of `values`, in upper or lower case. */
export function choice<const T extends string>(values: readonly [T, ...T[]]) {
  const sentence = `must be one of ${values.map((value) => JSON.stringify(value)).join(', ')}`;
  return z.string({ error: sentence }).transform((text, ctx): T => {
    const found = values.find((value) => value === text.toLowerCase());
    if (found !== undefined) return found;
    ctx.addIssue(sentence);
    return z.NEVER;
  });
}

/** Calls a parser of `src/spiffe` and turns its refusal into an issue. */
export function parsedBy<T>(parse: (text: string) => T) {
  return z.string().transform((text, ctx): T => {
    try {
      return parse(text);
    } catch (error) {
      if (!isSpiffeError(error)) throw error;
      ctx.addIssue(error.message);
      return z.NEVER;
    }
  });
}

export const spiffeIdText = parsedBy(parseSpiffeId);
export const trustDomainText = parsedBy(parseTrustDomain);

/** `10.0.0.0/8` or `fd00::/8`. */
export const cidr = z.string().refine(
  (text) => {
    const [, address = '', bits = ''] = /^(.*)\/(\d{1,3})$/.exec(text) ?? [];
    const version = isIP(address);
    return version !== 0 && Number(bits) <= (version === 4 ? 32 : 128);
  },
  { error: 'must be a network in CIDR notation, such as "10.0.0.0/8"' },
);

/** A key that only Windows or another engine knows, refused with what to use. */
export function refused(sentence: string) {
  return z
    .unknown()
    .refine((value) => value === undefined || value === '', { error: sentence })
    .optional();
}

/** For rules between the keys of a block: they are checked although single keys have mistakes, so all come at once. */
export const onEveryBlock = {
  when: ({ value }: { readonly value: unknown }): boolean => typeof value === 'object' && value !== null,
};
