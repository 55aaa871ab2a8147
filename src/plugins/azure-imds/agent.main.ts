import { servePlugin } from '../../plugin-sdk/index.ts';
import { azureAgentNodeAttestor } from './agent.ts';

await servePlugin(azureAgentNodeAttestor);
