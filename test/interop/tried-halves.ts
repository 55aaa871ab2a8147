/** What ran something: a test that stays, or a run by hand that is told of in the table of peers. */
export type Proof =
  | { readonly by: 'test'; readonly path: string; readonly what?: string }
  /** Not by `npm test`. */
  | { readonly by: 'suite'; readonly command: string; readonly path: string }
  | { readonly by: 'hand'; readonly what: string }
  /** Nothing ran it, and why. */
  | { readonly by: 'nothing'; readonly why: string };

/** An attestor of nodes, by who has which half. */
export interface TriedAttestor {
  readonly name: string;
  readonly bothOurs: readonly Proof[];
  /** Our server half against SPIRE's agent half: live, or by what that half sent. */
  readonly spireAgent: readonly Proof[];
  readonly spireServer: readonly Proof[];
  readonly badInputs: readonly Proof[];
}

/** A plugin without another half. */
export interface TriedStore {
  readonly name: string;
  readonly peer: string;
  readonly wholePrograms: readonly Proof[];
  readonly spireHost: readonly Proof[];
  readonly badInputs: readonly Proof[];
}

const test = (path: string, what?: string): Proof => ({ by: 'test', path, ...(what === undefined ? {} : { what }) });
const hand = (what: string): Proof => ({ by: 'hand', what });
const nothing = (why: string): Proof => ({ by: 'nothing', why });
const kubernetes = (path: string): Proof => ({ by: 'suite', command: 'test:k8s', path });
const OURS_ALONE = [nothing('SPIRE has none')];

const possession = [test('test/plugins/spire-possession.test.ts', 'recorded')];
const possessionEnd = [test('test/e2e/possession-attestors.test.ts')];
const cloudEnd = [test('test/e2e/cloud-attestors.test.ts')];
const cloudAgent = [hand('admitted, not kept')];
const cloudServer = [nothing('its server half was not built')];

export const ATTESTORS: readonly TriedAttestor[] = [
  {
    name: 'join_token',
    bothOurs: [test('test/e2e/main-job.test.ts')],
    spireAgent: [test('test/interop/server-api.test.ts', 'as spire-api-sdk sends it')],
    spireServer: [nothing('SPIRE’s server cannot be had as a package')],
    badInputs: [test('test/server/join-token-api.test.ts'), test('test/agent/first-identity.test.ts')],
  },
  {
    name: 'tpm',
    bothOurs: [test('test/e2e/admitted.test.ts'), { by: 'suite', command: 'test:vm', path: 'test/vm' }],
    spireAgent: OURS_ALONE,
    spireServer: OURS_ALONE,
    badInputs: [
      test('test/plugins/tpm-server-adversary.test.ts'),
      test('test/plugins/tpm-server-adversary-logs.test.ts'),
    ],
  },
  {
    name: 'tpm_devid',
    bothOurs: [test('test/e2e/tpm-devid.test.ts')],
    spireAgent: [test('test/plugins/tpm-server-devid-spire.test.ts', 'recorded')],
    spireServer: [hand('admitted')],
    badInputs: [test('test/plugins/tpm-server-devid.test.ts')],
  },
  {
    name: 'x509pop',
    bothOurs: possessionEnd,
    spireAgent: possession,
    spireServer: possession,
    badInputs: [test('test/plugins/x509pop')],
  },
  {
    name: 'sshpop',
    bothOurs: possessionEnd,
    spireAgent: possession,
    spireServer: possession,
    badInputs: [test('test/plugins/sshpop')],
  },
  {
    name: 'http_challenge',
    bothOurs: possessionEnd,
    spireAgent: possession,
    spireServer: possession,
    badInputs: [test('test/plugins/http-challenge')],
  },
  {
    name: 'k8s_psat',
    bothOurs: [test('test/e2e/k8s-psat.test.ts'), kubernetes('test/kubernetes/psat.test.ts')],
    spireAgent: [hand('the same bytes, admitted')],
    spireServer: [hand('admitted')],
    badInputs: [test('test/plugins/k8s-psat')],
  },
  {
    name: 'aws_iid',
    bothOurs: cloudEnd,
    spireAgent: cloudAgent,
    spireServer: cloudServer,
    badInputs: [test('test/plugins/aws-iid')],
  },
  {
    name: 'azure_imds',
    bothOurs: cloudEnd,
    spireAgent: cloudAgent,
    spireServer: cloudServer,
    badInputs: [test('test/plugins/azure-imds')],
  },
  {
    name: 'gcp_iit',
    bothOurs: cloudEnd,
    spireAgent: cloudAgent,
    spireServer: cloudServer,
    badInputs: [test('test/plugins/gcp-iit')],
  },
  {
    name: 'composite',
    bothOurs: [test('test/e2e/composite/composite.test.ts')],
    spireAgent: OURS_ALONE,
    spireServer: OURS_ALONE,
    badInputs: [test('test/e2e/composite/composite.test.ts'), test('test/config/composite-rule.test.ts')],
  },
];

const goHost = [test('test/interop/go-host.test.ts')];
const conformance = [test('test/authoring/conformance/tried-plugins.test.ts', 'the kit alone')];

export const STORES: readonly TriedStore[] = [
  {
    name: 'key manager `memory`',
    peer: 'OpenSSL',
    wholePrograms: [test('test/e2e/main-job.test.ts')],
    spireHost: goHost,
    badInputs: [test('test/plugin-host/key-manager.test.ts')],
  },
  {
    name: 'key manager `disk`',
    peer: 'OpenSSL',
    wholePrograms: [test('test/cli/authority-kill.test.ts')],
    spireHost: goHost,
    badInputs: [test('test/plugins/disk')],
  },
  {
    name: 'key manager `tpm`',
    peer: 'swtpm',
    wholePrograms: [test('test/e2e/key-bound.test.ts'), test('test/e2e/tpm-ca.test.ts')],
    spireHost: goHost,
    badInputs: [test('test/plugins/tpm-keys')],
  },
  {
    name: 'key manager `pkcs11`',
    peer: 'SoftHSM; libtpm2-pkcs11 fails',
    wholePrograms: [test('test/e2e/pkcs11.test.ts')],
    spireHost: goHost,
    badInputs: [test('test/plugins/pkcs11')],
  },
  {
    name: 'key manager `hashicorp_vault`',
    peer: 'an imitation',
    wholePrograms: [test('test/e2e/vault.test.ts')],
    spireHost: [nothing('not tried')],
    badInputs: [test('test/plugins/hashicorp-vault')],
  },
  {
    name: 'upstream authority `vault`',
    peer: 'an imitation',
    wholePrograms: [test('test/e2e/vault.test.ts')],
    spireHost: [nothing('not tried')],
    badInputs: [test('test/plugins/hashicorp-vault')],
  },
  {
    name: 'bundle publisher `k8s_configmap`',
    peer: 'kube-apiserver',
    wholePrograms: [kubernetes('test/kubernetes/configmap.test.ts')],
    spireHost: conformance,
    badInputs: [test('test/plugins/k8s-configmap')],
  },
  {
    name: 'credential composer `uniqueid`',
    peer: 'OpenSSL',
    wholePrograms: [test('test/docs/credential-composers.test.ts')],
    spireHost: conformance,
    badInputs: [nothing('it reads nothing but an entry')],
  },
];
