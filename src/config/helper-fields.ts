import { constants } from 'node:os';
import { isAbsolute } from 'node:path';
import { z } from 'zod';
import { orUnset } from './fields.ts';
import { splitArguments } from './split-arguments.ts';
import { findNearest } from './suggest.ts';

/** Permission bits such as `0640`; 0 counts as not given, as it does for spiffe-helper. */
export function fileMode(initial: number) {
  const error = 'must be an octal file mode, such as 0640';
  return z
    .int({ error })
    .min(0, { error })
    .max(0o777, { error })
    .default(0)
    .transform((mode) => (mode === 0 ? initial : mode));
}

const plainName = z
  .string()
  .refine((name) => !name.includes('/') && name !== '.' && name !== '..' && Buffer.byteLength(name) <= 200, {
    error: 'must be the name of a file in cert_dir, without a folder, of 200 bytes at most',
  });

/** The name of a file in `cert_dir`. */
export const fileName = orUnset(plainName);
export const requiredFileName = z.preprocess((value) => (value === '' ? undefined : value), plainName);

/** `SIGHUP`. */
export const signalName = orUnset(
  z.string().transform((text, ctx): NodeJS.Signals => {
    if (isSignal(text)) return text;
    const nearest = findNearest(text, Object.keys(constants.signals));
    ctx.addIssue(
      `must be the name of a signal, such as "SIGHUP"${nearest === undefined ? '' : `: did you mean "${nearest}"?`}`,
    );
    return z.NEVER;
  }),
);

function isSignal(text: string): text is NodeJS.Signals {
  return Object.hasOwn(constants.signals, text);
}

/** One text with blanks between the words, or a list of words. */
export const commandArguments = z
  .union([z.string(), z.array(z.string())], { error: 'must be a text, or a list of texts: one an argument' })
  .default([])
  .transform((given, ctx): readonly string[] => {
    if (typeof given !== 'string') return given;
    const words = splitArguments(given);
    if (words !== undefined) return words;
    ctx.addIssue('has a double quote that does not end');
    return z.NEVER;
  });

/** A path, or a URI as in SPIFFE_ENDPOINT_SOCKET: `unix:///run/agent.sock`, `unix:/run/agent.sock`; undefined for others. */
export function parseAgentAddress(text: string): string | undefined {
  const path = text.replace(/^unix:(\/\/(?=\/))?/, '');
  return path === '' || /^[a-z]+:/.test(path) || (path !== text && !isAbsolute(path)) ? undefined : path;
}
