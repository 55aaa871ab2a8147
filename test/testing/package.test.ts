import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OutsideProject } from './outside-project.ts';

const DOC = join(import.meta.dirname, '..', '..', 'docs', 'plugins', 'testing.md');

/** What each example of the document prints, in its order. */
const EXAMPLES = [
  ['a TPM', /7 *: 0x[0-9A-F]{64}/],
  ['a PKCS#11 token', /EC_POINT 256 bits[\s\S]*signer[\s\S]*SOFTHSM2_CONF/],
  ['a clock', /^$/],
  ['certificates', /web\.pem: OK\n\ntrue private true\ntrue true \/.*ek-ca\.pem\n$/],
] as const;

let project: OutsideProject;
beforeAll(async () => {
  project = await OutsideProject.create();
  const examples = [...(await readFile(DOC, 'utf8')).matchAll(/^```ts\n([\s\S]*?)^```$/gm)];
  expect(examples).toHaveLength(EXAMPLES.length);
  for (const [index, [, code = '']] of examples.entries()) await project.write(`example-${index}.ts`, code);
});
afterAll(() => project[Symbol.asyncDispose]());

describe('the examples of docs/plugins/testing.md, in a project that has the package', () => {
  test.each(EXAMPLES.map(([name, output], index) => ({ name, output, file: `example-${index}.ts` })))(
    '$name',
    { timeout: 60_000 },
    async ({ output, file }) => {
      expect(await project.run(file)).toMatch(output);
    },
  );

  test('hold as types', { timeout: 60_000 }, async () => {
    await project.checkTypes();
    await using outside = await OutsideProject.create();
    await outside.write(
      'wrong.ts',
      "import { startSwtpm } from 'assayer/testing';\nstartSwtpm({ ek: ['rsa-512'] });\n",
    );
    await expect(outside.checkTypes()).rejects.toThrow(`'"rsa-512"' is not assignable to type 'SwtpmEk'`);
  });
});

describe('a Debian package that is missing', () => {
  test.each([
    ['startSwtpm()', 'the command tpm2_getcap is missing: install the package tpm2-tools', ['swtpm', 'swtpm_setup']],
    ['startSwtpm()', 'the command swtpm is missing: install the package swtpm (apt-get install swtpm)', []],
    ['SoftHsmToken.create()', 'the command pkcs11-tool is missing: install the package opensc', []],
  ] as const)('%s says: %s', async (call, message, present) => {
    await using outside = await OutsideProject.create();
    const folder = await outside.folderOfCommands(present);
    const code = `import { SoftHsmToken, startSwtpm } from 'assayer/testing';
      await ${call}.then(() => console.log('made'), (error) => console.log(error.code, error.message));`;
    await outside.write('missing.js', code);
    expect(await outside.run('missing.js', { PATH: folder })).toContain(`FAILED_PRECONDITION ${message}`);
  });
});
