import { createHash } from 'node:crypto';
import { copyFile, readFile, rename } from 'node:fs/promises';
import { expect, test, vi } from 'vitest';
import { describeWithGo } from '../harness/requires.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { type GoPluginVersion, goPlugin } from '../plugin-host/go-plugins.ts';
import { isGone } from '../plugin-host/is-gone.ts';
import { Deployment } from './deployment.ts';
import { adminCalls, attestByDigest } from './deployment-calls.ts';
import { runAssayer } from './program.ts';
import { SteadyLoad } from './steady-load.ts';

const CALLS_OF_A_KIND = 20;
const WAIT = { timeout: 60_000, interval: 50 };

const digestOf = async (path: string) =>
  createHash('sha256')
    .update(await readFile(path))
    .digest('hex');

describeWithGo('a plugin in Go whose executable is replaced under load', () => {
  test('runs as the new one after "server plugin reload", and no call has failed', async () => {
    await using folder = await createTemporaryFolder();
    const command = folder.join('attestor');
    const put = async (version: GoPluginVersion) => {
      await copyFile(await goPlugin('server-node-attestor', version), folder.join('next'));
      await rename(folder.join('next'), command);
      return await digestOf(command);
    };
    const first = await put('1.4.0');
    await using deployment = await Deployment.create({
      logLevel: 'info',
      serverPlugins: `NodeAttestor "go_digest" { plugin_cmd = "${command}" plugin_data {} }`,
    });
    const server = await deployment.startServer();
    const pid = () => {
      const loaded = server.records.filter(
        ({ msg, plugin_name }) => msg === 'plugin loaded' && plugin_name === 'go_digest',
      );
      return Number(loaded.at(-1)?.pid);
    };
    using channels = new DisposableStack();
    const attest = [1, 2, 3, 4].map((caller) => [`attest ${caller}`, attestByDigest(deployment, channels)] as const);
    await using load = new SteadyLoad({ ...Object.fromEntries(attest), ...(await adminCalls(deployment, channels)) });
    const goesOn = async () => {
      const before = load.answered;
      const more = () => Object.entries(load.answered).map(([kind, count]) => count - (before[kind] ?? 0));
      await vi.waitFor(() => expect(Math.min(...more())).toBeGreaterThan(CALLS_OF_A_KIND), WAIT);
    };
    await goesOn();
    expect(await digestOf(`/proc/${pid()}/exe`)).toBe(first);
    for (const version of ['1.8.0', '1.4.0'] as const) {
      const before = pid();
      const wanted = await put(version);
      expect(await digestOf(`/proc/${before}/exe`)).not.toBe(wanted); // it runs on as it was
      const reload = ['plugin', 'reload', '-socketPath', deployment.adminSocket, 'go_digest'];
      expect(await runAssayer('server', ...reload)).toMatchObject({ code: 0, stderr: '' });
      expect(await digestOf(`/proc/${pid()}/exe`)).toBe(wanted);
      await goesOn();
      await vi.waitFor(() => expect(isGone(before)).toBe(true), WAIT);
    }
    expect(load.failedSince(0)).toEqual([]);
    expect(server.hasExited).toBe(false);
  }, 300_000);
});
