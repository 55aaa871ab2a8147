import { servePlugin } from '../../plugin-sdk/index.ts';
import { psatAgentNodeAttestor } from './agent.ts';

await servePlugin(psatAgentNodeAttestor);
