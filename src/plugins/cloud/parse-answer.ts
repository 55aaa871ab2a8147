import { SpiffeError, type z } from '../../plugin-sdk/index.ts';

/**
 * An answer in JSON.
 *
 * @param name who answered, for messages
 * @throws SpiffeError `UNAVAILABLE` for what is no JSON, or JSON of another shape, naming the field
 */
export function parseAnswer<T>(body: Uint8Array, schema: z.ZodType<T>, name: string): T {
  const parsed = schema.safeParse(parseJson(body, name));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = issue?.path.join('.') ?? '';
  throw new SpiffeError('UNAVAILABLE', `${name} answered with something else than is documented, in "${field}"`);
}

function parseJson(body: Uint8Array, name: string): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (cause) {
    throw new SpiffeError('UNAVAILABLE', `${name} answered with what is no JSON`, { cause });
  }
}
