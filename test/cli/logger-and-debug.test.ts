import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { ServerProcess } from './server-process.ts';

// Inventory S038, S039: what SPIRE's commands print.
const resources = new AsyncDisposableStack();
let folder: TemporaryFolder;
let server: ServerProcess;

beforeAll(async () => {
  folder = resources.use(await createTemporaryFolder());
  server = resources.use(await ServerProcess.start({ folder: folder.path, settings: 'log_level = "DEBUG"' }));
});
afterAll(() => resources.disposeAsync());

describe('server logger', () => {
  const pretty = (level: string) => `Logger Level : ${level}\nLaunch Level : debug\n\n`;

  test('get, set and reset print the level and the one at the start; set takes hold at once', async () => {
    expect((await server.run(['logger', 'get'])).stdout).toBe(pretty('debug'));
    expect((await server.run(['logger', 'set', '-level', 'Warn'])).stdout).toBe(pretty('warning'));
    expect((await server.run(['logger', 'set', '-level', 'info'])).stdout).toBe(pretty('info'));
    expect((await server.run(['logger', 'reset'])).stdout).toBe(pretty('debug'));
    await server.program.waitFor('msg="log level changes" before=info after=debug');
    expect(server.program.text).toContain('msg="log level changes" before=debug after=warning');
    expect(server.program.text).toContain('msg="log level changes" before=warning after=info');
  });

  test('print JSON with the names of the API', async () => {
    const answer = { current_level: 'WARN', launch_level: 'DEBUG' };
    expect((await server.runJson(['logger', 'set', '-level', 'warning'])).json).toEqual(answer);
    expect((await server.runJson(['logger', 'get'])).json).toEqual(answer);
  });

  test.each([
    [[], 'give the new -level, one of panic, fatal, error, warning, info, debug, trace'],
    [['-level', 'loud'], '-level: "loud" is no level, one of panic, fatal, error, warning, info, debug, trace'],
  ])('set %j is refused', async (flags, message) => {
    const { code, stdout, stderr } = await server.run(['logger', 'set', ...flags]);
    expect({ code, stdout, stderr }).toEqual({ code: 1, stdout: '', stderr: `Error: ${message}\n` });
  });
});

describe('server debug getinfo', () => {
  test('prints counts and the chain, as SPIRE does', async () => {
    const { code, stdout } = await server.run(['debug', 'getinfo']);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      new RegExp(
        [
          '^Server Debug Info:',
          '  Uptime:                  (\\d+m)?\\d+s',
          '  Registered Agents:       0',
          '  Registration Entries:    0',
          '  Federated Bundles:       1',
          '  SVID Chain:',
          '    \\[0\\] SPIFFE ID:  spiffe://example.org/spire/server',
          '        Subject:    O=SPIRE,C=US',
          '        Expires At: \\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ',
          '    \\[1\\] SPIFFE ID:  spiffe://example.org',
          '        Subject:    .*O=SPIFFE,C=US',
          '        Expires At: \\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ\n$',
        ].join('\n'),
      ),
    );
  });

  test('prints JSON, whose last certificate is the authority of the bundle', async () => {
    const { json } = await server.runJson(['debug', 'getinfo']);
    const authority = new X509Certificate((await server.run(['bundle', 'show'])).stdout);
    expect(json).toMatchObject({ agents_count: 0, entries_count: 0, federated_bundles_count: 1 });
    expect(json.svid_chain).toHaveLength(2);
    expect(Number(json.svid_chain[1].expires_at)).toBe(Date.parse(authority.validTo) / 1000);
  });
});
