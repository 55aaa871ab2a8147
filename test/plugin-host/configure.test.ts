import { writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { configure, validate } from '../../src/plugin-host/configure.ts';
import { RemoteError } from '../../src/rpc/status.ts';
import { Status } from '../../src/spiffe/status.ts';
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

/** A plugin's view of its configuration. */
const answering = (answer: () => { valid: boolean; notes: string[] }) => ({ validate: async () => answer() });
const refuse = (status: Status) => () => {
  throw new RemoteError(status, 'no');
};

test.each([
  ['valid and says nothing', () => ({ valid: true, notes: [] })],
  ['cannot tell', refuse(Status.Unimplemented)],
])('a plugin that finds its configuration %s has nothing against it (§5)', async (_what, answer) => {
  await expect(validate(answering(answer), { text: '' }, trustDomain, {})).resolves.toBeUndefined();
});

test.each([
  [
    'notes something of a valid one',
    () => ({ valid: true, notes: ['old key', 'odd'] }),
    'CONFIG_INVALID',
    'old key; odd',
  ],
  ['does not say why it is not', () => ({ valid: false, notes: [] }), 'CONFIG_INVALID', 'it does not say why'],
])('a plugin that %s is against it (§5)', async (_what, answer, code, message) => {
  await expect(validate(answering(answer), { text: '' }, trustDomain, {})).rejects.toMatchObject({ code, message });
});

test('a plugin that fails to look at its configuration is the reason itself', async () => {
  const looking = validate(answering(refuse(Status.Internal)), undefined, trustDomain, {});
  await expect(looking).rejects.toMatchObject({ status: Status.Internal, message: 'no' });
});

test('a plugin without Config is valid, unless there is plugin_data', async () => {
  await validate(undefined, undefined, trustDomain, {});
  await expect(validate(undefined, { text: '' }, trustDomain, {})).rejects.toThrow(
    /no supported configuration interface/,
  );
});

test('what a plugin notes against its configuration is told, and no more of it than people read', async () => {
  const noting = (notes: string[]) => ({ validate: async () => ({ valid: false, notes }) });
  const told = (notes: string[]) => validate(noting(notes), { text: '' }, trustDomain, {});
  await expect(told([])).rejects.toThrow('it does not say why');
  await expect(told(['a is missing', 'b is 1'])).rejects.toThrow(/^a is missing; b is 1$/);
  const many = Array.from({ length: 100_000 }, (_, index) => `${index} ${'x'.repeat(10_000)}`);
  const error = await told(many).catch((refusal: unknown) => refusal);
  expect(error).toMatchObject({ message: expect.stringMatching(/^0 x+…; 1 x+…; [\s\S]*; and 99980 more$/) });
  expect(String(error).length).toBeLessThan(25_000);
});
