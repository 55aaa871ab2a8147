import { execFile } from 'node:child_process';
import { userInfo } from 'node:os';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { buildGo } from '../harness/go.ts';
import { describeWithGo } from '../harness/requires.ts';
import { startSwtpm } from '../harness/swtpm.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

interface PluginSpec {
  readonly command: readonly string[];
  readonly config: string;
}

interface Job {
  readonly try: 'key-manager' | 'node-attestor' | 'workload-attestor';
  readonly side?: 'server' | 'agent';
  readonly autoMtls: boolean;
  readonly plugin: PluginSpec;
  readonly agentPlugin?: PluginSpec;
  readonly pids?: readonly number[];
}

const reportSchema = z.object({ services: z.array(z.string()), seen: z.array(z.string()), stopped: z.boolean() });

const folder = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const ours = (name: string, side: 'server' | 'agent', config = ''): PluginSpec => ({
  command: [process.execPath, folder(`../../src/plugins/${name}/${side}.main.ts`)],
  config,
});

const SIGNED = ['EC_P256', 'EC_P384', 'RSA_2048', 'RSA_4096'].flatMap((type) => [
  ...['SHA-256', 'SHA-384', 'SHA-512'].map((hash) => `${type} ${hash} true`),
  ...(type.startsWith('RSA') ? [-1, 0, 20].map((salt) => `${type} PSS ${salt} true`) : []),
]);
const KEY_MANAGER_SEEN = [...SIGNED, 'keys 4', 'absent NotFound', 'untyped InvalidArgument', 'overwritten true'];

describeWithGo("our plugins in a host made of go-plugin v1.8.0 and SPIRE's plugin SDK", () => {
  let host: string;
  beforeAll(async () => {
    host = await buildGo(folder('go-host'), '.');
  }, 600_000);

  function run(job: Job): Promise<z.infer<typeof reportSchema>> {
    return new Promise((resolve, reject) => {
      const child = execFile(host, { timeout: 60_000 }, (error, stdout, stderr) => {
        if (error) reject(new Error(stderr.slice(-4000), { cause: error }));
        else resolve(reportSchema.parse(JSON.parse(stdout)));
      });
      child.stdin?.end(JSON.stringify(job));
    });
  }

  describe.each([false, true])('AutoMTLS %s', (autoMtls) => {
    test.each(['server', 'agent'] as const)('KeyManager "memory" of the %s', async (side) => {
      const report = await run({ try: 'key-manager', side, autoMtls, plugin: ours('memory', side) });
      expect(report).toEqual({
        services: [`spire.plugin.${side}.keymanager.v1.KeyManager`, 'spire.service.common.config.v1.Config'],
        seen: KEY_MANAGER_SEEN,
        stopped: true,
      });
    });

    test.each([
      ['server', (path: string) => `keys_path = "${path}/keys.json"`],
      ['agent', (path: string) => `directory = "${path}"`],
    ] as const)('KeyManager "disk" of the %s', async (side, config) => {
      await using temporary = await createTemporaryFolder();
      const plugin = ours('disk', side, config(temporary.path));
      expect(await run({ try: 'key-manager', side, autoMtls, plugin })).toMatchObject({ seen: KEY_MANAGER_SEEN });
    });

    test('WorkloadAttestor "unix"', async () => {
      const report = await run({
        try: 'workload-attestor',
        autoMtls,
        plugin: ours('unix', 'agent', 'discover_workload_path = true'),
        pids: [process.pid, 2 ** 22 + 1],
      });
      const { uid, gid } = userInfo();
      const [self, absent] = report.seen;
      expect(self).toContain(` uid:${uid} `);
      expect(self).toContain(` gid:${gid} `);
      expect(self).toContain(` path:${process.execPath} sha256:`);
      expect(absent).toBe(`${2 ** 22 + 1} FailedPrecondition`);
    });

    test('NodeAttestor "tpm", both halves, with a software TPM', async () => {
      await using tpm = await startSwtpm({ ek: ['rsa-2048'] });
      // A host of SPIRE's does not tell the key of the CSR.
      const server = ours('tpm', 'server', `ca_path = "${tpm.caPath}"\nallow_unbound = true`);
      const report = await run({
        try: 'node-attestor',
        autoMtls,
        plugin: server,
        agentPlugin: ours('tpm', 'agent', `tcti = "${tpm.tcti}"`),
      });
      const [id = '', reattest, ...selectors] = report.seen;
      expect(id).toMatch(/^id spiffe:\/\/example\.org\/spire\/agent\/tpm\/[0-9a-f]{64}$/);
      expect(reattest).toBe('reattest true');
      expect(selectors).toContain(`selector pub_hash:${id.slice(-64)}`);
      expect(selectors).toContain('selector ek:virtual');
    });
  });
});
