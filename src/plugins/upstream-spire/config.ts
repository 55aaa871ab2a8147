import { flag, z } from '../../plugin-sdk/index.ts';

const MAX_SOCKET_PATH_BYTES = 107; // sockaddr_un

/** SPIRE's is text; a number is as good. */
const port = z.preprocess(
  (value) => (typeof value === 'string' && /^\d{1,5}$/.test(value) ? Number(value) : value),
  z.int({ error: 'must be a port, 1 to 65535' }).min(1).max(65535, { error: 'must be a port, 1 to 65535' }),
);

const socketPath = z
  .string({ error: 'must be the path of the Workload API’s socket' })
  .transform((text) => text.replace(/^unix:(\/\/)?(?=\/)/, ''))
  .refine((path) => path.startsWith('/'), { error: 'must be an absolute path' })
  .refine((path) => Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES, {
    error: `must have ${MAX_SOCKET_PATH_BYTES} bytes at most, as every path of a socket`,
  });

/** Inventory P052. */
export const upstreamSpireConfig = z.strictObject({
  server_address: z
    .string({ error: 'must be the name or address of the upper server' })
    .min(1, { error: 'is required' }),
  server_port: port,
  workload_api_socket: socketPath,
  experimental: z
    .strictObject({
      require_pq_kem: flag,
      workload_api_named_pipe_name: z
        .never({ error: 'named pipes are for Windows: use workload_api_socket' })
        .optional(),
    })
    .prefault({}),
});
export type UpstreamSpireConfig = z.infer<typeof upstreamSpireConfig>;
