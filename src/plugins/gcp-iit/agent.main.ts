import { servePlugin } from '../../plugin-sdk/index.ts';
import { gcpAgentNodeAttestor } from './agent.ts';

await servePlugin(gcpAgentNodeAttestor);
