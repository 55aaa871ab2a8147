import { z } from 'zod';
import { optionalText } from '../../config/fields.ts';

export const MAX_SESSIONS = 64;
export const DEFAULT_SESSIONS = 4;
const sessionsSentence = `must be a number from 1 to ${MAX_SESSIONS}`;
/** It becomes a part of labels, between colons. */
const identifier = /^[A-Za-z0-9/_.-]{1,128}$/;

/** `plugin_data` of the key manager `pkcs11`, the same on both sides: docs/plugins/pkcs11.md. */
export const pkcs11Config = z
  .strictObject({
    /** The shared library that came with the token or HSM. */
    module_path: z
      .string({ error: 'must be the path of a PKCS#11 module, a shared library' })
      .startsWith('/', { error: 'must be the absolute path of a PKCS#11 module, a shared library' }),
    token_label: optionalText,
    token_serial: optionalText,
    pin_path: optionalText,
    pin_env: z
      .string()
      .regex(/^[A-Za-z_]\w*$/, { error: 'must be the name of an environment variable' })
      .optional(),
    max_sessions: z
      .int({ error: sessionsSentence })
      .min(1, { error: sessionsSentence })
      .max(MAX_SESSIONS, { error: sessionsSentence })
      .default(DEFAULT_SESSIONS),
    /** Tells the keys of servers that share a token apart: a text, or a file with it. */
    key_identifier_value: z
      .string()
      .regex(identifier, { error: 'must be 1 to 128 letters, digits and ".", "_", "-", "/"' })
      .optional(),
    key_identifier_file: optionalText,
  })
  .refine(({ token_label: label, token_serial: serial }) => label !== undefined || serial !== undefined, {
    error: 'needs "token_label", "token_serial" or both, to know which token to use',
  })
  .refine(({ pin_path: path, pin_env: variable }) => (path === undefined) !== (variable === undefined), {
    error: 'needs either "pin_path", a file with the PIN, or "pin_env", the name of a variable that holds it',
  })
  .refine(({ key_identifier_value: value, key_identifier_file: file }) => value === undefined || file === undefined, {
    error: 'takes "key_identifier_value" or "key_identifier_file", not both',
  });
export type Pkcs11Config = z.output<typeof pkcs11Config>;

/** @returns whether a text can be a part of labels */
export const isIdentifier = (text: string): boolean => identifier.test(text);
