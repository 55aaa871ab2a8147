import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { PluginCommand, TestPluginOptions } from '../../../src/authoring/conformance/index.ts';
import type { PluginKind } from '../../../src/authoring/trial/offered-kinds.ts';
import type { PluginSide, PluginType } from '../../../src/rpc/go-plugin.ts';
import { SoftHsmToken } from '../../../src/testing/softhsm-token.ts';
import { startSwtpm } from '../../../src/testing/swtpm.ts';
import { builtPlugin } from '../../harness/built-programs.ts';
import { CA_EXTENSIONS, OpensslCertificates } from '../../harness/openssl-certificates.ts';
import { SshKeys } from '../../harness/ssh-keys.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../../harness/temporary-folder.ts';
import { type GoPlugin, type GoPluginVersion, goPlugin } from '../../plugin-host/go-plugins.ts';
import { openConfigMap, openPsat } from './kubernetes-plugins.ts';

/** A plugin that the whole kit is run on. */
export interface TriedPlugin extends PluginKind {
  readonly name: string;
  readonly needsGo: boolean;
  /** Whether the server's half is content with the payload. */
  readonly asksNothing?: boolean;
  /** Rules of which the kit warns, and why that is as it should be. */
  readonly warnings: Readonly<Record<string, RegExp>>;
  /** Rules that are about what the plugin cannot do. */
  readonly skips?: readonly string[];
  /** What the plugin needs lives as long as the stack. */
  open(stack: AsyncDisposableStack): Promise<PluginCommand & Pick<TestPluginOptions, 'peer' | 'name'>>;
}

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const node = (path: string, ...args: readonly string[]) => ({
  command: process.execPath,
  args: [source(path), ...args],
});

async function writeConfig(stack: AsyncDisposableStack, ...lines: readonly string[]): Promise<string> {
  const folder = stack.use(await createTemporaryFolder());
  const file = folder.join('plugin.hcl');
  await writeFile(file, lines.map((line) => line.replace('FOLDER', folder.path)).join('\n'));
  return file;
}

const builtin = (name: string, side: PluginSide, type: PluginType, ...config: readonly string[]): TriedPlugin => ({
  name: type === 'KeyManager' ? `${name} (${side})` : name,
  ...{ side, type, needsGo: false, warnings: {} },
  open: async (stack) => ({
    ...node(builtPlugin(side, name)),
    configFile: await writeConfig(stack, ...config),
  }),
});

const sample = (name: string, side: PluginSide, type: PluginType): TriedPlugin => ({
  ...{ name, side, type, needsGo: false, warnings: {} },
  open: async () => node(`../../interop/sdk-plugins/${name}.ts`),
});

/** Both halves of the attestor `tpm` with a software TPM: the server's with its other half, the agent's alone. */
const tpm = (side: PluginSide): TriedPlugin => ({
  name: `tpm (${side})`,
  ...{ side, type: 'NodeAttestor', needsGo: false, warnings: {} },
  async open(stack) {
    const swtpm = stack.use(await startSwtpm({ ek: ['rsa-2048'] }));
    const configFile = await writeConfig(stack, `tcti = "${swtpm.tcti}"`);
    const agent = { ...node(builtPlugin('agent', 'tpm')), configFile };
    if (side === 'agent') return { ...agent, name: 'tpm' };
    const server = node(builtPlugin('server', 'tpm'));
    const serverConfig = await writeConfig(stack, `virtual_ca_path = "${swtpm.caPath}"`);
    return { ...server, configFile: serverConfig, peer: agent, name: 'tpm' };
  },
});

/** A token is good for whoever has it. */
const SINGLE_MESSAGE = { 'pair.replayed': /it is a single message/, 'pair.extra': /it is a single message/ };

/** Both halves of `k8s_psat`: the server's with its other half, the agent's alone. */
const psat = (side: PluginSide): TriedPlugin => ({
  name: `k8s_psat (${side})`,
  ...{ side, type: 'NodeAttestor', needsGo: false, asksNothing: true },
  warnings: side === 'agent' ? {} : SINGLE_MESSAGE,
  async open(stack) {
    const { agent, server } = await openPsat(stack);
    return side === 'agent' ? agent : { ...server, peer: agent };
  },
});

const configMap: TriedPlugin = {
  name: 'k8s_configmap',
  ...{ side: 'server', type: 'BundlePublisher', needsGo: false, warnings: {}, open: openConfigMap },
};

/** The key manager `tpm` with a software TPM, which makes no RSA keys of 4096 bits. */
const tpmKeys = (side: PluginSide): TriedPlugin => ({
  name: `tpm (${side}, KeyManager)`,
  ...{ side, type: 'KeyManager', needsGo: false },
  warnings: { 'key-manager.generate': /the TPM makes no keys of type rsa-4096/ },
  skips: ['key-manager.sign-rsa-4096'],
  async open(stack) {
    const swtpm = stack.use(await startSwtpm({ ek: [] }));
    const configFile = await writeConfig(stack, `tcti = "${swtpm.tcti}"`, 'keys_path = "FOLDER/keys"');
    return { ...node(builtPlugin(side, 'tpm-keys')), configFile };
  },
});

/** The key manager `pkcs11` with SoftHSM, which finds its token by a variable. */
const pkcs11 = (side: PluginSide): TriedPlugin => ({
  name: `pkcs11 (${side})`,
  ...{ side, type: 'KeyManager', needsGo: false, warnings: {} },
  async open(stack) {
    const token = stack.use(await SoftHsmToken.create());
    Object.assign(process.env, token.environment, { CONFORMANCE_PIN: token.pin });
    const config = [
      `module_path = "${token.modulePath}"`,
      `token_label = "${token.label}"`,
      'pin_env = "CONFORMANCE_PIN"',
    ];
    return { ...node(builtPlugin(side, 'pkcs11')), configFile: await writeConfig(stack, ...config) };
  },
});

interface AttestorFiles {
  readonly agent: readonly string[];
  readonly server: readonly string[];
}

/** A node attestor whose halves need files alone: the server's with its other half, the agent's alone. */
const attestor = (name: string, side: PluginSide, write: (folder: TemporaryFolder) => AttestorFiles): TriedPlugin => ({
  name: `${name} (${side})`,
  ...{ side, type: 'NodeAttestor', needsGo: false, warnings: {} },
  async open(stack) {
    const settings = write(stack.use(await createTemporaryFolder()));
    const half = async (of: PluginSide) => ({
      ...node(builtPlugin(of, name.replace('_', '-'))),
      configFile: await writeConfig(stack, ...settings[of]),
    });
    const agent = await half('agent');
    return side === 'agent' ? { ...agent, name } : { ...(await half('server')), peer: agent, name };
  },
});

const x509pop = (side: PluginSide): TriedPlugin =>
  attestor('x509pop', side, (folder) => {
    const certificates = new OpensslCertificates(folder);
    const ca = certificates.issue({ name: 'ca', extensions: CA_EXTENSIONS });
    const { certificatePath, keyPath } = certificates.issue({ name: 'node', issuer: 'ca' });
    const agent = [`certificate_path = "${certificatePath}"`, `private_key_path = "${keyPath}"`];
    return { agent, server: [`ca_bundle_path = "${ca.certificatePath}"`] };
  });

const sshpop = (side: PluginSide): TriedPlugin =>
  attestor('sshpop', side, (folder) => {
    const keys = new SshKeys(folder);
    keys.generate('ca');
    const agent = [
      `host_key_path = "${keys.generate('host')}"`,
      `host_cert_path = "${keys.sign('host', { by: 'ca' })}"`,
    ];
    return { agent, server: [`cert_authorities = ["${keys.publicKey('ca')}"]`] };
  });

const httpChallenge = (side: PluginSide): TriedPlugin =>
  attestor('http_challenge', side, () => ({
    agent: ['hostname = "127.0.0.1"'],
    server: ['allowed_networks = ["127.0.0.1/32"]'], // a name that is one bit off is elsewhere
  }));

export const OUR_PLUGINS: readonly TriedPlugin[] = [
  builtin('memory', 'server', 'KeyManager'),
  builtin('memory', 'agent', 'KeyManager'),
  builtin('disk', 'server', 'KeyManager', 'keys_path = "FOLDER/keys.json"'),
  builtin('disk', 'agent', 'KeyManager', 'directory = "FOLDER"'),
  tpmKeys('server'),
  tpmKeys('agent'),
  pkcs11('server'),
  pkcs11('agent'),
  builtin('unix', 'agent', 'WorkloadAttestor', 'discover_workload_path = true'),
  builtin('docker', 'agent', 'WorkloadAttestor', 'container_id_cgroup_matchers = ["/of/no/process/<id>"]'),
  builtin('k8s', 'agent', 'WorkloadAttestor', 'kubelet_read_only_port = 10255'),
  tpm('server'),
  tpm('agent'),
  psat('server'),
  psat('agent'),
  configMap,
  builtin('uniqueid', 'server', 'CredentialComposer'),
  x509pop('server'),
  x509pop('agent'),
  sshpop('server'),
  sshpop('agent'),
  httpChallenge('server'),
  httpChallenge('agent'),
];

export const SDK_PLUGINS: readonly TriedPlugin[] = [
  sample('upstream-authority', 'server', 'UpstreamAuthority'),
  sample('notifier', 'server', 'Notifier'),
  sample('bundle-publisher', 'server', 'BundlePublisher'),
  sample('credential-composer', 'server', 'CredentialComposer'),
  sample('svid-store', 'agent', 'SVIDStore'),
  sample('workload-attestor', 'agent', 'WorkloadAttestor'),
];

/** AutoMTLS reaches no host services below go-plugin 1.4.4. */
const NO_BROKER_TLS = { 'pair.auto-mtls': /certificate is valid for localhost, not unused/ };

const go = (version: GoPluginVersion, name: GoPlugin, side: PluginSide, type: PluginType): TriedPlugin => ({
  name: type === 'KeyManager' ? `${name} (${side})` : name,
  ...{ side, type, needsGo: true },
  warnings: name === 'server-node-attestor' && version === '1.4.0' ? NO_BROKER_TLS : {},
  async open(stack) {
    const command = await goPlugin(name, version);
    if (type === 'KeyManager') return { command, args: side === 'agent' ? ['agent'] : [] };
    if (type !== 'NodeAttestor') return { command, args: [] };
    const configFile = await writeConfig(stack, 'node = "node1"');
    if (side === 'agent') return { command, args: [], configFile };
    const peer = { command: await goPlugin('agent-node-attestor', version), args: [], configFile };
    return { command, args: [], peer, name: 'go_digest' };
  },
});

export const GO_PLUGINS = (version: GoPluginVersion): readonly TriedPlugin[] => [
  go(version, 'key-manager', 'server', 'KeyManager'),
  go(version, 'key-manager', 'agent', 'KeyManager'),
  go(version, 'server-node-attestor', 'server', 'NodeAttestor'),
  go(version, 'agent-node-attestor', 'agent', 'NodeAttestor'),
  go(version, 'upstream-authority', 'server', 'UpstreamAuthority'),
  go(version, 'notifier', 'server', 'Notifier'),
  go(version, 'bundle-publisher', 'server', 'BundlePublisher'),
  go(version, 'credential-composer', 'server', 'CredentialComposer'),
  go(version, 'svid-store', 'agent', 'SVIDStore'),
  go(version, 'workload-attestor', 'agent', 'WorkloadAttestor'),
];
