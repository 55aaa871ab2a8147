import { servePlugin } from '../../plugin-sdk/index.ts';
import { popAgentNodeAttestor } from './agent.ts';

await servePlugin(popAgentNodeAttestor);
