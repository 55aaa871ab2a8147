import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { renderTemplate } from '../../src/plugin-sdk/path-template/evaluate.ts';
import { parseTemplate } from '../../src/plugin-sdk/path-template/parse.ts';
import type { TemplateMap } from '../../src/plugin-sdk/path-template/values.ts';

// What SPIRE's own engine makes of the same templates: test/vectors/path-template/SOURCE.

interface Vectors {
  readonly values: TemplateMap;
  /** `output` is null where SPIRE's engine has an error. */
  readonly results: readonly { readonly template: string; readonly output: string | null }[];
  /** Which give a path there, and are refused here. */
  readonly refused: readonly string[];
}

const path = join(import.meta.dirname, '..', 'vectors', 'path-template', 'spire.json');
const { values, results, refused }: Vectors = JSON.parse(readFileSync(path, 'utf8'));
const render = (template: string) => renderTemplate(parseTemplate(template), values, ['Path']);
const accepted = results.filter(({ output }) => output !== null);

describe('SPIRE’s engine and ours', () => {
  test.each(accepted.filter(({ template }) => !refused.includes(template)))(
    'agree on $template',
    ({ template, output }) => {
      expect(render(template)).toBe(output);
    },
  );

  test.each(results.filter(({ output }) => output === null))('both refuse $template', ({ template }) => {
    expect(() => render(template)).toThrow();
  });

  test.each(refused)('differ on %s, which ours refuses', (template) => {
    expect(accepted.map((result) => result.template)).toContain(template);
    expect(() => render(template)).toThrow();
  });
});
