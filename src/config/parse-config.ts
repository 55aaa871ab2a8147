import { parseHcl } from './hcl.ts';
import { parseJson } from './json.ts';
import { configError } from './problem.ts';
import { MAX_CONFIG_BYTES, type ObjectNode } from './syntax-tree.ts';

/**
 * Parses JSON where the text starts with a brace, as HCL's own reader does, otherwise HCL.
 *
 * @throws SpiffeError `CONFIG_INVALID`
 */
export function parseConfig(text: string, source: string): ObjectNode {
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_CONFIG_BYTES) {
    throw configError([{ source, path: '', message: `has ${bytes} bytes: ${MAX_CONFIG_BYTES} at most` }]);
  }
  return /^\ufeff?\s*\{/.test(text) ? parseJson(text, source) : parseHcl(text, source);
}
