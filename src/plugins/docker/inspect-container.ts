import { SpiffeError, z } from '../../plugin-sdk/index.ts';
import type { EngineAnswer, EngineClient } from './engine-client.ts';

/** What is used of Docker's answer; Podman's has the same. Source: Docker Engine API, `ContainerInspect`. */
const containerInspect = z.object({
  Id: z.string().regex(/^[0-9a-f]{64}$/),
  /** The image's ID; Podman 4 leaves `sha256:` out in places. */
  Image: z.string().nullish(),
  /** Only there where images are kept by containerd. */
  ImageManifestDescriptor: z.unknown().optional(),
  /** When the first process began, by the time of day. */
  State: z.object({ Pid: z.int(), StartedAt: z.string().nullish() }),
  Config: z.object({
    Image: z.string().nullish(),
    Labels: z.record(z.string(), z.string()).nullish(),
    Env: z.array(z.string()).nullish(),
  }),
});
export type ContainerInspect = z.output<typeof containerInspect>;

/**
 * @param id 64 hex digits, or a name.
 * @returns undefined where the runtime has no such container.
 * @throws SpiffeError as {@link EngineClient.get}; `UNAVAILABLE` for an answer that is none
 */
export async function inspectContainer(
  client: EngineClient,
  id: string,
  signal: AbortSignal,
): Promise<ContainerInspect | undefined> {
  const answer = await client.get(`/containers/${encodeURIComponent(id)}/json`, signal);
  if (answer.status === 404) return undefined;
  const at = `${client.name} at ${client.socketPath}`;
  if (answer.status !== 200) {
    throw new SpiffeError('UNAVAILABLE', `${at} answered with status ${answer.status}: ${messageOf(answer)}`);
  }
  const { data, error } = containerInspect.safeParse(findJson(answer.body));
  if (data !== undefined) return data;
  const fault = error.issues.map(({ path }) => path.join('.')).find((path) => path !== '') ?? 'it is no JSON object';
  throw new SpiffeError('UNAVAILABLE', `${at} answered what does not describe a container: see ${fault}`);
}

const MAX_MESSAGE = 300;

function messageOf({ body }: EngineAnswer): string {
  const { data } = z.object({ message: z.string() }).safeParse(findJson(body));
  return JSON.stringify((data?.message ?? body).slice(0, MAX_MESSAGE));
}

function findJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
