import { servePlugin } from '../../plugin-sdk/index.ts';
import { systemdWorkloadAttestor } from './workload-attestor.ts';

await servePlugin(systemdWorkloadAttestor);
