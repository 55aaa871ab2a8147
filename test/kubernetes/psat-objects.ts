import { sign } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { type ApiServer, NODE } from './api-server.ts';
import { IMAGE } from './cluster.ts';

export const NAMESPACE = 'spire';
/** Whose agents are let in. */
export const AGENT_ACCOUNT = 'spire-agent';
const RBAC = 'rbac.authorization.k8s.io';

/** The rights that docs/plugins/k8s-psat.md names, and those of docs/plugins/k8s-configmap.md. */
export const RIGHTS = {
  attest: [
    { apiGroups: [''], resources: ['pods', 'nodes'], verbs: ['get'] },
    { apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] },
  ],
  publish: [{ apiGroups: [''], resources: ['configmaps'], verbs: ['create', 'patch'] }],
} as const;

/** Makes the account, and gives it rights. @returns a token of it, for the API server */
export async function createServerAccount(api: ApiServer, name: string, rights: readonly object[]): Promise<string> {
  const accounts = `/api/v1/namespaces/${NAMESPACE}/serviceaccounts`;
  await api.ask('POST', accounts, { metadata: { name } });
  if (rights.length > 0) {
    await api.ask('POST', `/apis/${RBAC}/v1/clusterroles`, { metadata: { name }, rules: rights });
    await api.ask('POST', `/apis/${RBAC}/v1/clusterrolebindings`, {
      metadata: { name },
      roleRef: { apiGroup: RBAC, kind: 'ClusterRole', name },
      subjects: [{ kind: 'ServiceAccount', name, namespace: NAMESPACE }],
    });
  }
  return await createToken(api, name, {});
}

export interface TokenOptions {
  readonly audiences?: readonly string[];
  /** Undefined: bound to nothing. */
  readonly pod?: { readonly name: string; readonly uid: string };
}

/** What the kubelet does for a projected volume. */
export async function createToken(api: ApiServer, account: string, { audiences, pod }: TokenOptions): Promise<string> {
  const path = `/api/v1/namespaces/${NAMESPACE}/serviceaccounts/${account}/token`;
  const answer = await api.ask('POST', path, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: {
      expirationSeconds: 3600,
      ...(audiences && { audiences }),
      ...(pod && { boundObjectRef: { apiVersion: 'v1', kind: 'Pod', ...pod } }),
    },
  });
  return (answer as { status: { token: string } }).status.token;
}

/** The same token, signed anew by the cluster's key with other claims. */
export function withClaims(api: ApiServer, token: string, claims: object): string {
  const [header = '', payload = ''] = token.split('.');
  const given = JSON.parse(Buffer.from(payload, 'base64url').toString());
  const signed = `${header}.${Buffer.from(JSON.stringify({ ...given, ...claims })).toString('base64url')}`;
  return `${signed}.${sign('sha256', Buffer.from(signed), api.tokenKey).toString('base64url')}`;
}

/** A pod that nobody starts where the node is only a name. @returns its UID */
export async function createPod(api: ApiServer, name: string, spec: object = {}): Promise<string> {
  const pod = await api.ask('POST', `/api/v1/namespaces/${NAMESPACE}/pods`, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: 'agent', tier: 'node' } },
    spec: {
      nodeName: NODE,
      serviceAccountName: AGENT_ACCOUNT,
      automountServiceAccountToken: false,
      hostNetwork: true,
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'sleep', image: IMAGE, imagePullPolicy: 'Never' }],
      ...spec,
    },
  });
  return (pod as { metadata: { uid: string } }).metadata.uid;
}

export async function deletePod(api: ApiServer, name: string): Promise<void> {
  await api.ask('DELETE', `/api/v1/namespaces/${NAMESPACE}/pods/${name}`, { gracePeriodSeconds: 0 });
}

const ASSAYER = fileURLToPath(new URL('../../dist/assayer.js', import.meta.url));

/** A container that is an agent, with the files of the host and a token that the kubelet projects into `tokenFolder`. */
export function agentSpec(configPath: string, logPath: string, tokenFolder: string): object {
  return {
    hostPID: true, // as its /proc is that of the host
    containers: [
      {
        name: 'agent',
        image: IMAGE,
        imagePullPolicy: 'Never',
        securityContext: { privileged: true },
        command: [
          '/bin/sh',
          '-c',
          `exec chroot /host ${process.execPath} ${ASSAYER} agent run -config ${configPath} >/host${logPath} 2>&1`,
        ],
        volumeMounts: [
          { name: 'host', mountPath: '/host' },
          { name: 'token', mountPath: `/host${tokenFolder}` },
        ],
      },
    ],
    volumes: [
      { name: 'host', hostPath: { path: '/' } },
      {
        name: 'token',
        projected: {
          sources: [{ serviceAccountToken: { path: 'spire-agent', expirationSeconds: 600, audience: 'spire-server' } }],
        },
      },
    ],
  };
}
