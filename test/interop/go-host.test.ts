import { execFile } from 'node:child_process';
import { userInfo } from 'node:os';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { SoftHsmToken } from '../../src/testing/softhsm-token.ts';
import { startSwtpm } from '../../src/testing/swtpm.ts';
import { builtPlugin } from '../harness/built-programs.ts';
import { buildGo } from '../harness/go.ts';
import { describeWithGo } from '../harness/requires.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { digest } from './sdk-plugins/describe.ts';

interface PluginSpec {
  readonly command: readonly string[];
  readonly config: string;
}

interface Job {
  readonly try:
    | 'key-manager'
    | 'node-attestor'
    | 'node-refusals'
    | 'workload-attestor'
    | 'workload-references'
    | 'upstream-authority'
    | 'upstream-cancel'
    | 'notifier'
    | 'bundle-publisher'
    | 'credential-composer'
    | 'svid-store';
  readonly side?: 'server' | 'agent';
  readonly autoMtls: boolean;
  readonly plugin: PluginSpec;
  readonly agentPlugin?: PluginSpec;
  readonly pids?: readonly number[];
  /** What is asked of an upstream authority. */
  readonly ttls?: readonly number[];
}

const reportSchema = z.object({
  services: z.array(z.string()),
  configuration: z.array(z.string()),
  seen: z.array(z.string()),
  counters: z.array(z.string()),
  stopped: z.boolean(),
});

const folder = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const ours = (name: string, side: 'server' | 'agent', config = ''): PluginSpec => ({
  command: [process.execPath, builtPlugin(side, name)],
  config,
});

/** A plugin of the suite, which says how to misbehave. */
const example = (name: string, ...args: readonly string[]): PluginSpec => ({
  command: [process.execPath, folder(`sdk-plugins/${name}.ts`), ...args],
  config: '',
});

/** What every plugin makes of its configuration, and of one with a key that nobody knows. */
const CONFIGURATION = [
  'valid true, 0 notes',
  'valid false, 1 notes',
  'configured with what nobody knows InvalidArgument',
  'configured without a trust domain InvalidArgument: the host gave no trust domain',
];

const SIGNED = ['EC_P256', 'EC_P384', 'RSA_2048', 'RSA_4096'].flatMap((type) => [
  ...['SHA-256', 'SHA-384', 'SHA-512'].map((hash) => `${type} ${hash} true`),
  ...(type.startsWith('RSA') ? [-1, 0, 20].map((salt) => `${type} PSS ${salt} true`) : []),
]);
const KEY_MANAGER_SEEN = [
  ...SIGNED,
  'keys 4',
  'absent NotFound',
  'untyped InvalidArgument',
  'nameless InvalidArgument',
  'sign absent NotFound',
  ...['nameless', 'without options', 'without a hash', 'of another length', 'PSS by EC'].map(
    (what) => `sign ${what} InvalidArgument`,
  ),
  'overwritten true',
];

describeWithGo("our plugins in a host made of go-plugin v1.8.0 and SPIRE's plugin SDK", () => {
  let host: string;
  beforeAll(async () => {
    host = await buildGo(folder('go-host'), '.');
  }, 600_000);

  function run(job: Job): Promise<Omit<z.infer<typeof reportSchema>, 'configuration'>> {
    return new Promise<z.infer<typeof reportSchema>>((resolve, reject) => {
      const child = execFile(host, { timeout: 60_000 }, (error, stdout, stderr) => {
        if (error) reject(new Error(stderr.slice(-4000), { cause: error }));
        else resolve(reportSchema.parse(JSON.parse(stdout)));
      });
      child.stdin?.end(JSON.stringify(job));
    }).then(({ configuration, ...report }) => {
      const halves = job.agentPlugin === undefined ? 1 : 2;
      expect(configuration).toEqual(Array.from({ length: halves }, () => CONFIGURATION).flat());
      return report;
    });
  }

  describe.each([false, true])('AutoMTLS %s', (autoMtls) => {
    test.each(['server', 'agent'] as const)('KeyManager "memory" of the %s', async (side) => {
      const report = await run({ try: 'key-manager', side, autoMtls, plugin: ours('memory', side) });
      expect(report).toEqual({
        services: [`spire.plugin.${side}.keymanager.v1.KeyManager`, 'spire.service.common.config.v1.Config'],
        seen: KEY_MANAGER_SEEN,
        counters: [],
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

    test('KeyManager "tpm", with a software TPM, which makes no RSA keys of 4096 bits', async () => {
      await using tpm = await startSwtpm({ ek: [] });
      await using temporary = await createTemporaryFolder();
      const plugin = ours('tpm-keys', 'agent', `tcti = "${tpm.tcti}"\nkeys_path = "${temporary.join('keys')}"`);
      const made = KEY_MANAGER_SEEN.filter((line) => !line.startsWith('RSA_4096'));
      const seen = made.flatMap((line) => (line === 'keys 4' ? ['RSA_4096 FailedPrecondition', 'keys 3'] : [line]));
      expect(await run({ try: 'key-manager', side: 'agent', autoMtls, plugin })).toMatchObject({ seen });
    });

    test('KeyManager "pkcs11", with SoftHSM', async () => {
      await using token = await SoftHsmToken.create();
      Object.assign(process.env, token.environment, { GO_HOST_PIN: token.pin });
      const config = `module_path = "${token.modulePath}"\ntoken_label = "${token.label}"\npin_env = "GO_HOST_PIN"`;
      const plugin = ours('pkcs11', 'server', config);
      expect(await run({ try: 'key-manager', side: 'server', autoMtls, plugin })).toMatchObject({
        seen: KEY_MANAGER_SEEN,
      });
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

    const halves = (node: string) => {
      const agentPlugin = { ...example('agent-node-attestor'), config: `node = "${node}"` };
      return { autoMtls, plugin: example('server-node-attestor'), agentPlugin };
    };

    test.each([
      ['who-are-you', ['agent-store:NotFound', 'identity:spiffe://example.org/spire/server of example.org']],
      ['known', ['agent-store:OK']],
      ['measured', ['agent-store:NotFound'], ['gauge readers', 'key shelf', 'sample pages', 'time open']],
    ])('NodeAttestor, both halves, with host services: a node %s', async (node, heard, measured = []) => {
      expect(await run({ try: 'node-attestor', ...halves(node) })).toMatchObject({
        seen: [
          `id spiffe://example.org/spire/agent/digest/${node}`,
          'reattest true',
          ...['x-untrusted-forwarded-host:spire.example.org', 'x-forwarded-client-ip:192.0.2.7', ...heard].map(
            (value) => `selector ${value}`,
          ),
        ],
        counters: [...measured, 'attested'],
        stopped: true,
      });
    });

    test('NodeAttestor, both halves, refusing', async () => {
      expect(await run({ try: 'node-refusals', ...halves('node') })).toMatchObject({
        seen: [
          'deny PermissionDenied: node is not known',
          'liar PermissionDenied: digest: the answer is wrong',
          'answer first InvalidArgument: expected a payload, got challengeResponse',
          'payload twice InvalidArgument: expected the answer to its challenge, got payload',
          'neither InvalidArgument: expected a payload, got a message with neither',
          'nothing InvalidArgument: expected a payload, got the end of the stream',
          'no answer InvalidArgument: expected the answer to its challenge, got the end of the stream',
          'challenge refuse InvalidArgument: the challenge makes no sense',
          'challenge of no length OK',
        ],
        stopped: true,
      });
    });

    const services = (side: 'server' | 'agent', type: string) => [
      `spire.plugin.${side}.${type.toLowerCase()}.v1.${type}`,
      'spire.service.common.config.v1.Config',
    ];

    test('Notifier, which counts with the metrics of the host', async () => {
      expect(await run({ try: 'notifier', autoMtls, plugin: example('notifier') })).toEqual({
        services: services('server', 'Notifier'),
        seen: [
          'updated OK',
          'loaded OK',
          'updated PermissionDenied: not that bundle',
          'loaded PermissionDenied: not that bundle',
          'updated without a bundle InvalidArgument: the message has no bundle',
          'an event that is not known OK',
        ],
        counters: ['updated', 'loaded', 'updated', 'loaded'].map((event) => `notifier.${event}`),
        stopped: true,
      });
    });

    test('Notifier without functions, which takes every event', async () => {
      const { seen } = await run({ try: 'notifier', autoMtls, plugin: example('notifier', 'silent') });
      expect(seen.filter((line) => !line.endsWith(' OK'))).toEqual([]);
    });

    test('BundlePublisher', async () => {
      expect(await run({ try: 'bundle-publisher', autoMtls, plugin: example('bundle-publisher') })).toMatchObject({
        services: services('server', 'BundlePublisher'),
        seen: [
          'publish OK',
          'publish Unavailable: nobody takes that bundle',
          'publish nothing InvalidArgument: the message has no bundle',
        ],
        stopped: true,
      });
    });

    test('SVIDStore', async () => {
      expect(await run({ try: 'svid-store', autoMtls, plugin: example('svid-store') })).toMatchObject({
        services: services('agent', 'SVIDStore'),
        seen: [
          'put OK',
          'put Unavailable: the store is busy',
          'put nothing InvalidArgument: the SVID is missing',
          'delete OK',
          'delete InvalidArgument: the metadata makes no sense',
        ],
        stopped: true,
      });
    });

    test('CredentialComposer', async () => {
      expect(await run({ try: 'credential-composer', autoMtls, plugin: example('credential-composer') })).toMatchObject(
        {
          services: services('server', 'CredentialComposer'),
          seen: [
            'ca c=US ou=one,composed serial=42 cn=ca 2.5.4.12=title 0.9.2342.19200300.100.1.25=example 2.5.29.32.0,1.3.6.1.4.1.99999.1 1.3.6.1.4.1.99999.2:0500:true',
            'server OK kept',
            expect.stringMatching(/^agent Unimplemented: /),
            `workload OK c= ou= serial= cn=${digest(Buffer.from('key'))} one.example.org `,
            'workload PermissionDenied: not for that workload',
            'without attributes InvalidArgument: the attributes are missing',
            'jwt map[aud:[a] exp:1.9e+09 list:[1 two <nil>] map:map[of:it] nothing:<nil> number:1.5 text:x yes:true]',
          ],
          stopped: true,
        },
      );
    });

    test('UpstreamAuthority', async () => {
      const plugin = example('upstream-authority');
      expect(await run({ try: 'upstream-authority', autoMtls, plugin, ttls: [3600, 1, 6, 7, 9] })).toMatchObject({
        services: services('server', 'UpstreamAuthority'),
        seen: [
          'mint 3600 roots 1 tainted 0 ca true verified true',
          'mint 3600 end',
          'mint 1 end',
          'mint 6 roots 1 tainted 0 ca true verified true',
          'mint 6 roots 1 tainted 0 ca true verified true',
          'mint 6 roots 0 tainted 0',
          'mint 6 roots that do not parse',
          'mint 6 roots 1 tainted 1',
          'mint 6 end',
          'mint 7 PermissionDenied: no CA for you',
          'mint 9 roots 1 tainted 0 ca true verified true',
          'mint 9 Unavailable: the upstream went away',
          'publish one keys 1 one/1900000000/true',
          'publish one keys 2 one/1900000000/true bad/0/false',
          'publish one keys 0',
          'publish one end',
          'publish deny PermissionDenied: no key from you',
          'publish nothing InvalidArgument: the JWT key is missing',
          'local roots 1 keys 0',
          'local roots 0 keys 0',
          'local roots 1 keys 1 up/1900000000/false',
          'local end',
        ],
        stopped: true,
      });
    });

    test('UpstreamAuthority that only mints', async () => {
      const plugin = example('upstream-authority', 'mint');
      const { seen } = await run({ try: 'upstream-authority', autoMtls, plugin, ttls: [3600] });
      expect(seen.slice(2)).toEqual(
        ['publish one', 'publish deny', 'publish nothing', 'local'].map((what) =>
          expect.stringMatching(new RegExp(`^${what} Unimplemented: `)),
        ),
      );
    });

    test('UpstreamAuthority whose host leaves', async () => {
      const report = await run({ try: 'upstream-cancel', autoMtls, plugin: example('upstream-authority') });
      expect(report).toMatchObject({ seen: [expect.stringMatching(/^cancelled Canceled: /)], stopped: true });
    });

    test('WorkloadAttestor by reference', async () => {
      const plugin = example('workload-attestor');
      expect(await run({ try: 'workload-references', autoMtls, plugin, pids: [1, 2 ** 31 - 1] })).toMatchObject({
        services: services('agent', 'WorkloadAttestor'),
        seen: [
          'pods.:shop/web-0/42 caller:spiffe://example.org/broker',
          'refused InvalidArgument: references of type "type.googleapis.com/example.Reference" are not supported',
          expect.stringMatching(/^refused InvalidArgument: the reference of type .* does not parse$/),
          'refused InvalidArgument: the reference is missing',
          'pid:1 by:reference caller:spiffe://example.org/broker',
          'refused NotFound: no process 2147483647',
        ],
        stopped: true,
      });
    });

    test('WorkloadAttestor that takes no references', async () => {
      const plugin = example('workload-attestor', 'pid');
      const { seen } = await run({ try: 'workload-references', autoMtls, plugin, pids: [1] });
      expect(seen).toEqual(seen.map(() => expect.stringMatching(/^refused Unimplemented: /)));
    });
  });
});
