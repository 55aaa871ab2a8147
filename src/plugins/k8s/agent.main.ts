import { servePlugin } from '../../plugin-sdk/index.ts';
import { k8sWorkloadAttestor } from './workload-attestor.ts';

await servePlugin(k8sWorkloadAttestor);
