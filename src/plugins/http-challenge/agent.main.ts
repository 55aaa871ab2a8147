import { servePlugin } from '../../plugin-sdk/index.ts';
import { httpChallengeAgentNodeAttestor } from './agent.ts';

await servePlugin(httpChallengeAgentNodeAttestor);
