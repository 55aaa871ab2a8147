import { z } from '../../plugin-sdk/index.ts';

const MAX_CHARACTERS = 255;

/** Segments of a SPIFFE ID's path, since it becomes a part of the agent's. */
export const clusterName = z
  .string()
  .min(1, { error: 'is required: the name that the cluster has in the configuration of the server' })
  .max(MAX_CHARACTERS)
  .regex(/^(?!\.{1,2}(?:\/|$))[\w.-]+(?:\/(?!\.{1,2}(?:\/|$))[\w.-]+)*$/, {
    error: 'must have letters, digits, ".", "-" and "_" alone: it becomes a part of agents’ SPIFFE IDs',
  });
