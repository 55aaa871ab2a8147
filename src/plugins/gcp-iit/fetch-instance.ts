import { requestFromWeb, SpiffeError, z } from '../../plugin-sdk/index.ts';
import { below } from '../cloud/api-url.ts';
import { parseAnswer } from '../cloud/parse-answer.ts';
import type { GoogleCredentials } from './google-credentials.ts';
import type { ComputeEngine } from './identity-token.ts';

const NAME = 'the Compute Engine API';
const DEADLINE_MS = 10_000;
/** All metadata of an instance may have 512 KiB. */
const MAX_BYTES = 4 * 1024 * 1024;

const instance = z.object({
  id: z.string(),
  tags: z.object({ items: z.array(z.string()).default([]) }).prefault({}),
  labels: z.record(z.string(), z.string()).default({}),
  metadata: z
    .object({ items: z.array(z.object({ key: z.string(), value: z.string().default('') })).default([]) })
    .prefault({}),
});
/** What the Compute Engine API tells of an instance. */
export type Instance = z.output<typeof instance>;

/**
 * @throws SpiffeError `ATTESTATION_DENIED` where the instance of that name is another one by now
 * @see Compute Engine API v1, instances.get
 */
export async function fetchInstance(
  of: ComputeEngine,
  api: URL,
  credentials: GoogleCredentials,
  signal: AbortSignal,
): Promise<Instance> {
  const [project, zone, name] = [of.project_id, of.zone, of.instance_name].map(encodeURIComponent);
  const token = await credentials.accessToken();
  const { status, body } = await requestFromWeb({
    ...{ name: NAME, signal, maxBytes: MAX_BYTES, deadlineMs: DEADLINE_MS },
    url: below(api, `/compute/v1/projects/${project}/zones/${zone}/instances/${name}`),
    headers: { Accept: 'application/json', Authorization: `Bearer ${token}` },
  });
  if (status !== 200) throw refusal(of, status);
  const found = parseAnswer(body, instance, NAME);
  if (found.id !== of.instance_id) {
    throw new SpiffeError(
      'ATTESTATION_DENIED',
      `the instance "${of.instance_name}" is number ${found.id} by now, not ${of.instance_id} as the identity token has it`,
    );
  }
  return found;
}

function refusal({ project_id, instance_name }: ComputeEngine, status: number): SpiffeError {
  const what = `the instance "${instance_name}" of project "${project_id}"`;
  if (status === 401 || status === 403) {
    return new SpiffeError(
      'FAILED_PRECONDITION',
      `${NAME} does not show ${what} to this server (status ${status}): its service account needs compute.instances.get there`,
    );
  }
  if (status === 404) return new SpiffeError('ATTESTATION_DENIED', `${NAME} knows no ${what.replace('the ', '')}`);
  return new SpiffeError('UNAVAILABLE', `${NAME} answered with status ${status} when asked for ${what}`);
}
