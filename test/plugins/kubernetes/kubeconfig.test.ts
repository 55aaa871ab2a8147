import { expect, test } from 'vitest';
import { inClusterContext } from '../../../src/plugins/kubernetes/in-cluster.ts';
import { parseKubeconfig } from '../../../src/plugins/kubernetes/kubeconfig.ts';

const PATH = '/etc/kube/config';
const parse = (text: string) => parseKubeconfig(`kube_config_file: "${PATH}"`, PATH, text);
const base64 = (text: string) => Buffer.from(text).toString('base64');

const kubeconfig = (cluster: string, user: string) => `apiVersion: v1
kind: Config
current-context: here
preferences: {}
contexts:
- name: elsewhere
  context: {cluster: two, user: two}
- name: here
  context:
    cluster: one
    user: one
    namespace: default
clusters:
- name: one
  cluster:
    ${cluster}
- name: two
  cluster: {server: 'https://two.example'}
users:
- name: one
  user:
    ${user}
`;
const SERVER = 'server: https://kube.example:6443';

test('the current context with a token, and an authority in a file beside it', () => {
  const context = parse(kubeconfig(`${SERVER}\n    certificate-authority: ca.crt`, 'token: secret'));
  expect(context).toMatchObject({
    server: new URL('https://kube.example:6443'),
    serverName: undefined,
    isVerified: true,
    authorities: { kind: 'file', path: '/etc/kube/ca.crt' },
    token: { kind: 'text', text: 'secret' },
    client: undefined,
  });
});

test.each([
  [
    'data of an authority before its file',
    `${SERVER}\n    certificate-authority: x\n    certificate-authority-data: ${base64('CA')}`,
    'token: t',
    { authorities: { kind: 'text', text: 'CA' } },
  ],
  [
    'a file of a token before the token',
    SERVER,
    'token: t\n    tokenFile: ../token',
    { token: { kind: 'file', path: '/etc/token' } },
  ],
  [
    'a client certificate',
    SERVER,
    `client-certificate: /c.pem\n    client-key-data: ${base64('KEY')}`,
    { client: { certificate: { kind: 'file', path: '/c.pem' }, key: { kind: 'text', text: 'KEY' } } },
  ],
  [
    'another name of the server',
    `${SERVER}\n    tls-server-name: kubernetes`,
    'token: t',
    { serverName: 'kubernetes' },
  ],
  [
    'a server that is not verified',
    `${SERVER}\n    insecure-skip-tls-verify: true\n    certificate-authority: x`,
    'token: t',
    { isVerified: false, authorities: undefined },
  ],
  ['a user without anything', SERVER, '{}', { token: undefined, client: undefined }],
  ['empty text', `${SERVER}\n    proxy-url: ""`, 'token: ""\n    exec: null', { token: undefined }],
])('%s', (_what, cluster, user, expected) => {
  expect(parse(kubeconfig(cluster, user))).toMatchObject(expected);
});

test.each([
  ['text that is no YAML', 'a: [', /is no YAML, on line 1/],
  ['a repeated key', 'a: 1\na: 2', /is no YAML, on line 2/],
  ['a list', '[]', /is no kubeconfig: the whole/],
  [
    'aliases that grow',
    `a: &a [x, x]\n${'b: *a\n'.replace('b', 'c').repeat(1)}d: [${'*a, '.repeat(200)}*a]`,
    /aliases of YAML more than 100 times/,
  ],
  ['no current context', 'clusters: []', /has no current-context/],
  ['a context that is not there', 'current-context: x', /has no context "x"/],
  [
    'a cluster that is not there',
    'current-context: x\ncontexts: [{name: x, context: {cluster: c}}]',
    /has no cluster "c"/,
  ],
  [
    'a user that is not there',
    'current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: {server: "https://a"}}]',
    /has no user "u"/,
  ],
  ['no server', kubeconfig('certificate-authority: x', 'token: t'), /has no server/],
  ['a server in clear', kubeconfig('server: http://kube.example', 'token: t'), /must be a URL that starts with https/],
  [
    'a server with a password',
    kubeconfig('server: https://me:word@kube.example', 'token: t'),
    /has "https:\/\/kube.example" as its server/,
  ],
  ['a proxy', kubeconfig(`${SERVER}\n    proxy-url: http://proxy`, 'token: t'), /has a proxy-url/],
  ['a program', kubeconfig(SERVER, 'exec: {command: aws}'), /log in by a program \(exec\).*kubectl create token/],
  ['an auth-provider', kubeconfig(SERVER, 'auth-provider: {name: gcp}'), /auth-provider, which Kubernetes has removed/],
  ['a password', kubeconfig(SERVER, 'username: me\n    password: word'), /a user name and a password/],
  ['impersonation', kubeconfig(SERVER, 'token: t\n    as-groups: [system:masters]'), /act as another/],
  [
    'a certificate without its key',
    kubeconfig(SERVER, 'client-certificate: c'),
    /has a client-certificate for its user and no client-key/,
  ],
  [
    'a key without its certificate',
    kubeconfig(SERVER, 'client-key: c'),
    /has a client-key for its user and no client-certificate/,
  ],
  [
    'what is no base64',
    kubeconfig(`${SERVER}\n    certificate-authority-data: "%%%"`, 'token: t'),
    /other than base64 in certificate-authority-data/,
  ],
  ['a token that is a number', kubeconfig(SERVER, 'token: 7'), /is no kubeconfig: users\.0\.user\.token/],
])('%s is refused', (_what, text, message) => {
  expect(() => parse(text)).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) }),
  );
});

test('no secret is in what is said of mistakes', () => {
  for (const text of [
    `${kubeconfig(SERVER, 'token: my-secret')}\n  my-secret: [`,
    kubeconfig(SERVER, 'token: [my-secret]'),
  ]) {
    expect(() => parse(text)).toThrow(expect.objectContaining({ message: expect.not.stringContaining('my-secret') }));
  }
});

test('a pod knows its API server', () => {
  const environment = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' };
  expect(inClusterContext('kube_config_file', environment)).toMatchObject({
    server: new URL('https://[fd00::1]'),
    authorities: { path: '/var/run/secrets/kubernetes.io/serviceaccount/ca.crt' },
    token: { path: '/var/run/secrets/kubernetes.io/serviceaccount/token' },
  });
});

test.each([
  [{}, /kube_config_file is needed: .*it runs in none/],
  [{ KUBERNETES_SERVICE_HOST: 'a b', KUBERNETES_SERVICE_PORT: '1' }, /make no URL/],
])('elsewhere a kubeconfig is needed', (environment, message) => {
  expect(() => inClusterContext('kube_config_file', environment)).toThrow(message);
});
