import { servePlugin } from '../../plugin-sdk/index.ts';
import { unixWorkloadAttestor } from './workload-attestor.ts';

await servePlugin(unixWorkloadAttestor);
