import { servePlugin } from '../../plugin-sdk/index.ts';
import { devidAgentNodeAttestor } from './agent.ts';

await servePlugin(devidAgentNodeAttestor);
