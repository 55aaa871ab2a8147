import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { ServerProcess } from './server-process.ts';

// Inventory S030 to S037: what SPIRE's commands print.
const resources = new AsyncDisposableStack();
let server: ServerProcess;

beforeAll(async () => {
  const folder = resources.use(await createTemporaryFolder());
  server = resources.use(await ServerProcess.start({ folder: folder.path }));
});
afterAll(() => resources.disposeAsync());

const EXPIRY = '\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d \\+0000 UTC';
const run = async (...words: readonly string[]) => {
  const { code, stdout, stderr } = await server.run(words);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
};

test.each([
  ['x509', 'X.509', '[0-9a-f]{40}', '\n  Upstream authority ID: No upstream authority'],
  ['jwt', 'JWT', '[A-Za-z0-9_-]{32}', ''],
])(
  'localauthority %s: show, prepare, activate, taint, revoke',
  async (word, kind, id, upstream) => {
    const authority = (heading: string, authorityId = id, expiry = EXPIRY) =>
      `${heading} ${kind} authority:\n  Authority ID: (${authorityId})\n  Expires at: ${expiry}${upstream}\n`;
    const none = (heading: string) =>
      `${heading} ${kind} authority:\n  No ${heading.toLowerCase()} ${kind} authority found\n`;
    const show = async (...blocks: readonly string[]) => {
      const output = await run('localauthority', word, 'show');
      const match = new RegExp(`^${blocks.join('\n')}$`).exec(output);
      expect(match, output).not.toBeNull();
      return match?.slice(1) ?? [];
    };
    const act = async (verb: string, done: string, ...flags: readonly string[]) => {
      const output = await run('localauthority', word, verb, ...flags);
      expect(output).toMatch(new RegExp(`^${authority(done)}$`));
    };

    const [first = ''] = await show(authority('Active'), none('Prepared'), none('Old'));
    await act('prepare', 'Prepared');
    const [, second = ''] = await show(authority('Active', first), authority('Prepared'), none('Old'));
    await act('activate', 'Activated', '-authorityID', second);
    await show(authority('Active', second), none('Prepared'), authority('Old', first));
    const { json } = await server.runJson(['localauthority', word, 'show']);
    expect(json).toEqual({
      active: { authority_id: second, expires_at: expect.any(String), upstream_authority_subject_key_id: '' },
      old: { authority_id: first, expires_at: expect.any(String), upstream_authority_subject_key_id: '' },
    });
    await act('taint', 'Tainted', '-authorityID', first);
    await act('revoke', 'Revoked', '-authorityID', first);
    await show(authority('Active', second), none('Prepared'), none('Old'));
  },
  60_000,
);

test.each([
  [['localauthority', 'x509', 'activate'], 'an authority ID is required: give -authorityID, as "show" prints it'],
  [['localauthority', 'jwt', 'taint'], 'an authority ID is required: give -authorityID, as "show" prints it'],
  [['localauthority', 'jwt', 'revoke', '-authorityID', 'a'], 'invalid authority ID: no JWT authority found'],
  [['localauthority', 'x509', 'taint', '-authorityID', 'a'], 'unexpected authority ID'],
  [['upstreamauthority', 'taint'], 'the Subject Key ID of the X.509 upstream authority is required'],
  [['upstreamauthority', 'taint', '-subjectKeyID', 'ab'], 'upstream authority is not configured'],
  [['upstreamauthority', 'revoke', '-subjectKeyID', 'ab'], 'upstream authority is not configured'],
])('%j is refused', async (words, message) => {
  const { code, stdout, stderr } = await server.run(words);
  expect({ code, stdout, stderr }).toEqual({ code: 1, stdout: '', stderr: expect.stringContaining(message) });
});
