import { writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { configure } from '../../src/plugin-host/configure.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';

const trustDomain = parseTrustDomain('example.org');

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await createTemporaryFolder();
});
afterAll(async () => {
  await folder[Symbol.asyncDispose]();
});

/** The texts that a plugin with Config is given. */
async function received(data: { text: string } | { file: string } | undefined): Promise<readonly string[]> {
  const texts: string[] = [];
  const client = {
    configure: async (request: {
      coreConfiguration: { trustDomain: string } | undefined;
      hclConfiguration: string;
    }) => {
      expect(request.coreConfiguration).toEqual({ trustDomain: 'example.org' });
      texts.push(request.hclConfiguration);
      return {};
    },
  };
  await configure(client, data, trustDomain, {});
  return texts;
}

test('plugin_data_file arrives byte for byte (§5)', async () => {
  const text = '# kept ✓\r\n\n  a   =  1\n';
  await writeFile(folder.join('data'), text);
  expect(await received({ file: folder.join('data') })).toEqual([text]);
});

test('a plugin with Config and no plugin_data is configured with the empty text (§5)', async () => {
  expect(await received(undefined)).toEqual(['']);
});

test('a plugin without Config is left alone, unless there is plugin_data (§5)', async () => {
  await configure(undefined, undefined, trustDomain, {});
  await expect(configure(undefined, { text: '' }, trustDomain, {})).rejects.toThrow(
    /no supported configuration interface found/,
  );
});

test('a plugin_data_file that cannot be read, or is no text, is named', async () => {
  await expect(received({ file: folder.join('missing') })).rejects.toMatchObject({
    code: 'FILE_UNUSABLE',
    message: expect.stringContaining(JSON.stringify(folder.join('missing'))),
  });
  await writeFile(folder.join('binary'), Uint8Array.of(0xff, 0xfe));
  await expect(received({ file: folder.join('binary') })).rejects.toThrow(/not text in UTF-8/);
});
