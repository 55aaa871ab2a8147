import { SpiffeError, z } from '../../plugin-sdk/index.ts';
import { findStatusObject, quoteStatus } from '../kubernetes/api-errors.ts';
import type { Target } from './targets.ts';

/** Who owns the keys; SPIRE's publisher has the same name, so that either goes on where the other stopped. */
export const FIELD_MANAGER = 'spire-bundlepublisher-k8s_configmap';

const configMap = z.object({
  kind: z.literal('ConfigMap'),
  data: z.record(z.string(), z.string()).nullish(),
});

/**
 * Makes keys of a ConfigMap what they shall be, and the ConfigMap where there is none; what others have set stays.
 *
 * @param data all keys of the ConfigMap that are published: the API server removes those of this manager that are not there
 * @throws SpiffeError `FAILED_PRECONDITION` where somebody else has set a key, and what the client throws
 * @see Kubernetes documentation, "Server-Side Apply"
 */
export async function applyConfigMap(
  { client, namespace, name, entries }: Target,
  data: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<void> {
  const force = entries.some(({ force_conflicts }) => force_conflicts);
  const query = new URLSearchParams({ fieldManager: FIELD_MANAGER, force: String(force) });
  const answer = await client.send(
    {
      method: 'PATCH',
      path: `/api/v1/namespaces/${namespace}/configmaps/${name}?${query}`,
      right: '"patch" and "create" on "configmaps"',
      expected: [409],
      // JSON is YAML.
      body: {
        type: 'application/apply-patch+yaml',
        value: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data },
      },
    },
    signal,
  );
  if (answer.status === 409) throw conflict(answer.value);
  const kept = configMap.safeParse(answer.value).data?.data ?? {};
  const changed = Object.keys(data).find((key) => kept[key] !== data[key]);
  if (changed !== undefined) {
    throw new SpiffeError(
      'FAILED_PRECONDITION',
      `the API server took the ConfigMap and keeps something else under "${changed}": does an admission webhook change it?`,
    );
  }
}

/** One of two kinds: somebody else owns a field, or an object changed at the same moment. */
function conflict(value: unknown): SpiffeError {
  const failure = findStatusObject(value);
  const said = failure === undefined ? 'a conflict' : quoteStatus(failure);
  const isOwned = /conflicts? with/.test(said);
  return isOwned
    ? new SpiffeError(
        'FAILED_PRECONDITION',
        `somebody else has set the key: ${said}; have the other leave it alone, name another configmap_key, or set force_conflicts = true to take it over`,
      )
    : new SpiffeError('UNAVAILABLE', `the ConfigMap changed at the same moment: ${said}`);
}
