import { servePlugin } from '../../plugin-sdk/index.ts';
import { dockerWorkloadAttestor } from './workload-attestor.ts';

await servePlugin(dockerWorkloadAttestor);
